#include "api/crd/rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>

#include "absl/strings/str_cat.h"
#include "api/crd/crd.h"
#include "api/crd/spec_schema.h"
#include "libs/spec/schema.h"
#include "tests/support/refused_jobs.h"

namespace splitft::crd {
namespace {

// The field that a job is refused for, without places in lists and keys: spec.clients[].cutLayer.
std::string FieldOf(const RefusedJob& job) {
  const std::string path = job.on_one_machine.substr(0, job.on_one_machine.find(": "));
  return std::regex_replace(std::regex_replace(path, std::regex(R"(\[\d+\])"), "[]"), std::regex(R"(\[".*"\])"), "");
}

// A rule is about the field that it names, or about one inside that its condition speaks of.
bool IsAbout(const Rule& rule, const std::string& field) {
  const std::string own = rule.at + rule.field;
  const std::string name = field.substr(field.rfind('.'));
  return own == field || (field.starts_with(own + "[]") && rule.condition.find(name) != std::string::npos);
}

class RefusedJobs : public ::testing::TestWithParam<RefusedJob> {};

// That it refuses them is a real API server's to show: tests/integration/crd.
TEST_P(RefusedJobs, HaveARule) {
  const std::string field = FieldOf(GetParam());
  const std::vector<Rule> rules = JobRules();
  const bool has_rule = std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) { return IsAbout(rule, field); });
  EXPECT_TRUE(has_rule || field == "spec.clients[].name") << field;  // names are the keys of the list
}

INSTANTIATE_TEST_SUITE_P(All, RefusedJobs, ::testing::ValuesIn(splitft::RefusedJobs()));

TEST(JobRules, StandAtFieldsThatExist) {
  std::set<std::string> known;
  for (const spec::FieldInfo& field : spec::KnownFields()) {
    known.insert(field.path);
  }
  for (const Rule& rule : JobRules()) {
    const std::string at = rule.at.ends_with("[]") ? rule.at.substr(0, rule.at.size() - 2) : rule.at;
    EXPECT_TRUE(at.empty() || known.contains(at)) << at;
    EXPECT_TRUE(known.contains(at.empty() ? rule.field.substr(1) : at + rule.field)) << at << rule.field;
  }
}

TEST(JobRules, SayWhatIsWrong) {
  for (const Rule& rule : JobRules()) {
    EXPECT_FALSE(rule.message.empty()) << rule.condition;
    EXPECT_EQ(rule.message.find('\n'), std::string::npos) << rule.message;
    EXPECT_EQ(rule.condition.find('"'), std::string::npos) << rule.condition << ": CEL has single quotes too";
  }
}

TEST(JobRules, LetNothingChangeButWhatSaysHowLongTheJobLives) {
  std::set<std::string> fixed;
  std::set<std::string> free;
  for (const Rule& rule : JobRules()) {
    if (rule.condition.find("oldSelf") != std::string::npos) {
      fixed.insert(rule.at);
    }
  }
  const Json spec_schema = SpecSchema();
  const Json& required = spec_schema["required"];
  for (const auto& [name, schema] : spec_schema["properties"].items()) {
    const std::string path = absl::StrCat("spec.", name);
    if (!fixed.contains(path)) {
      free.insert(name);
    } else {
      // Else it could be added or taken away: a rule on a field is asked only where old and new job have it.
      EXPECT_TRUE(schema.contains("default") || std::count(required.begin(), required.end(), name) == 1) << path;
    }
  }
  EXPECT_THAT(free, ::testing::ElementsAre("activeDeadlineSeconds", "suspend", "ttlSecondsAfterFinished"));
}

}  // namespace
}  // namespace splitft::crd
