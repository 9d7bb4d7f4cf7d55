#include "api/crd/vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "operator/decide/outcome.h"
#include "operator/desired/children.h"
#include "operator/desired/names.h"
#include "operator/desired/pods.h"

namespace splitft::crd {
namespace {

using controller::Json;
using ::testing::UnorderedElementsAreArray;
using Found = std::set<std::string>;

Found NamesOf(const auto& terms) {
  Found names;
  for (const auto& term : terms) {
    names.insert(term.name);
  }
  return names;
}

// The words in capitals of the lines that are about reasons, without actions and what something is compared with.
Found ReasonsIn(const std::filesystem::path& file) {
  const absl::StatusOr<std::string> source = ReadFile(file, 1 << 20);
  EXPECT_TRUE(source.ok()) << source.status();
  const std::regex other(R"(([=!]=|action =) "\w+")");
  const std::regex word(R"re("([A-Z]\w+)")re");
  Found found;
  std::istringstream lines(*source);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("reason") == std::string::npos && line.find("JobState::k") == std::string::npos) {
      continue;
    }
    line = std::regex_replace(line, other, "");
    for (std::sregex_iterator match(line.begin(), line.end(), word); match != std::sregex_iterator(); ++match) {
      found.insert((*match)[1]);
    }
  }
  return found;
}

TEST(Reasons, AreThoseThatTheOperatorGives) {
  const std::filesystem::path folder = SPLITFT_SOURCE_DIR "/operator";
  Found given = ReasonsIn(folder / "reconciler.cc");
  for (const auto& file : std::filesystem::directory_iterator(folder / "decide")) {
    given.merge(ReasonsIn(file.path()));
  }
  for (const Term& state : States()) {
    given.erase(state.name);  // where a reason is a state's name, too
  }
  Found told = NamesOf(Reasons());
  told.merge(NamesOf(EventReasons()));
  told.erase("Suspended");
  EXPECT_THAT(told, UnorderedElementsAreArray(given)) << "api/crd/vocabulary.cc and operator/ disagree";
}

TEST(States, AreTheOperators) {
  Found operators;
  for (int state = 0; state <= static_cast<int>(controller::JobState::kFailed); ++state) {
    operators.insert(std::string(controller::JobStateName(static_cast<controller::JobState>(state))));
  }
  EXPECT_EQ(NamesOf(States()), operators);
}

class OfAJob : public ::testing::Test {
 protected:
  OfAJob() { job_.clients.push_back({.name = "<client>"}); }

  std::vector<Json> Pods() const {
    std::vector<Json> pods;
    for (const auto& member : {controller::Member{.role = spec::Role::kAggregator, .client = {}},
                               controller::Member{.role = spec::Role::kWorker, .client = "<client>"}}) {
      pods.push_back(controller::DesiredPod(owner_, job_, {.member = member, .index = 7}, {}));
    }
    return pods;
  }

  const controller::Owner owner_{.name_space = "n", .name = "<job>", .uid = "u"};
  spec::FineTuneJob job_;
};

TEST_F(OfAJob, ChildrenAreNamedAsTold) {
  Found made;
  std::vector<Json> all = controller::DesiredChildren(owner_, job_, {});
  for (Json& pod : Pods()) {
    all.push_back(std::move(pod));
  }
  for (const Json& child : all) {
    const std::string name = child["metadata"]["name"];
    made.insert(
        absl::StrCat(child["kind"].get<std::string>(), " ", std::regex_replace(name, std::regex("7$"), "<index>")));
  }
  Found told;
  for (const Child& child : Children()) {
    told.insert(absl::StrCat(child.kind, " ", child.name));
  }
  EXPECT_EQ(told, made);
}

TEST_F(OfAJob, PodsHaveTheLabelsTold) {
  Found set;
  for (const Json& pod : Pods()) {
    for (const auto& [label, value] : pod["metadata"]["labels"].items()) {
      set.insert(label);
    }
    EXPECT_FALSE(pod["metadata"].contains("annotations")) << "docs/api.md says that there are none";
  }
  EXPECT_EQ(NamesOf(ChildLabels()), set);
}

}  // namespace
}  // namespace splitft::crd
