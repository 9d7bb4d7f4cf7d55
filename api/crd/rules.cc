#include "api/crd/rules.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/crd/spec_schema.h"
#include "libs/spec/schema.h"
#include "libs/spec/text_forms.h"

namespace splitft::crd {
namespace {

using spec::FieldInfo;

// The twins of libs/spec/rules.cc. Every field that is named here has a default, or `has` asks for it. They stand at
// spec, whatever group they are about: the API server holds a group's own rules against its default, which is {} (what
// is in it has defaults of its own). Messages are put together by format, in one call: the server's estimate of cost
// has no bound for the length of string(1), and multiplies it where + goes on with it.
std::vector<Rule> RulesBetweenFields() {
  return {
      {.field = ".lora.cutLayerRank",
       .condition = "self.lora.cutLayerRank <= self.lora.rank",
       .message = "is above spec.lora.rank",
       .message_expression =
           "'%d is above spec.lora.rank, which is %d'.format([self.lora.cutLayerRank, self.lora.rank])"},
      {.field = ".split.minCutLayer",
       .condition = "self.split.maxCutLayer == 0 || self.split.minCutLayer <= self.split.maxCutLayer",
       .message = "is above spec.split.maxCutLayer",
       .message_expression = "'%d is above spec.split.maxCutLayer, which is %d'.format([self.split.minCutLayer, "
                             "self.split.maxCutLayer])"},
      {.field = ".split.cutLayer",
       .condition = "self.split.cutLayer >= self.split.minCutLayer",
       .message = "is below spec.split.minCutLayer",
       .message_expression = "'%d is below spec.split.minCutLayer, which is %d'.format([self.split.cutLayer, "
                             "self.split.minCutLayer])"},
      {.field = ".split.cutLayer",
       .condition = "self.split.maxCutLayer == 0 || self.split.cutLayer <= self.split.maxCutLayer",
       .message = "is above spec.split.maxCutLayer",
       .message_expression = "'%d is above spec.split.maxCutLayer, which is %d'.format([self.split.cutLayer, "
                             "self.split.maxCutLayer])"},
      {.field = ".clients",
       .condition = "self.clients.all(c, !has(c.cutLayer) || c.cutLayer >= self.split.minCutLayer)",
       .message = "a client's cutLayer is below spec.split.minCutLayer",
       .message_expression = "'cutLayer of %s is below spec.split.minCutLayer, which is "
                             "%d'.format([self.clients.filter(c, has(c.cutLayer) && "
                             "c.cutLayer < self.split.minCutLayer).map(c, c.name), self.split.minCutLayer])"},
      {.field = ".clients",
       .condition = "self.split.maxCutLayer == 0 || self.clients.all(c, !has(c.cutLayer) || c.cutLayer <= "
                    "self.split.maxCutLayer)",
       .message = "a client's cutLayer is above spec.split.maxCutLayer",
       .message_expression = "'cutLayer of %s is above spec.split.maxCutLayer, which is "
                             "%d'.format([self.clients.filter(c, has(c.cutLayer) && "
                             "c.cutLayer > self.split.maxCutLayer).map(c, c.name), self.split.maxCutLayer])"},
      {.field = ".split.tailBlocks",
       .condition = "self.split.tailBlocks == 0 || self.split.labels == 'Client'",
       .message = "needs spec.split.labels: Client; with Server the tail is not the client's",
       .message_expression = "\"%d needs spec.split.labels: Client; with Server the tail is not the client's\".format("
                             "[self.split.tailBlocks])"},
      {.field = ".split.codec",
       .condition = "self.split.codec != 'int4'",
       .message = "int4 is not available yet; expected one of Auto, fp32, bf16, int8"},
      {.field = ".training.microbatches",
       .condition = "self.clients.all(c, self.training.microbatches <= "
                    "(has(c.batchSize) ? c.batchSize : self.training.batchSize))",
       .message = "is above the batchSize of a client",
       .message_expression =
           "'%d is above the batchSize of %s; expected at most %d'.format([self.training.microbatches, "
           "self.clients.filter(c, self.training.microbatches > (has(c.batchSize) ? c.batchSize : "
           "self.training.batchSize)).map(c, c.name), self.clients.map(c, has(c.batchSize) ? "
           "c.batchSize : self.training.batchSize).min()])"},
  };
}

std::vector<Rule> TrainingRules() {
  return {
      {.field = ".training",
       .condition = "self.training.steps > 0 || self.training.epochs > 0.0",
       .message = "says not how long; expected steps or epochs above 0"},
      {.field = ".training",
       .condition = "self.training.steps == 0 || self.training.epochs == 0.0",
       .message = "has steps and epochs; expected only one of them",
       .message_expression = "'has steps (%d) and epochs (%s); expected only one of them'.format([self.training.steps, "
                             "self.training.epochs])"},
      {.field = ".training.warmupSteps",
       .condition = "self.training.steps == 0 || self.training.warmupSteps <= self.training.steps",
       .message = "is above spec.training.steps",
       .message_expression = "'%d is above spec.training.steps, which is %d'.format([self.training.warmupSteps, "
                             "self.training.steps])"},
      {.field = ".training.evaluation.fraction",
       .condition = "self.training.evaluation.intervalSteps == 0 || self.training.evaluation.fraction > 0.0",
       .message = "0 leaves nothing to evaluate on every intervalSteps; expected a number above 0"},
      {.field = ".training.evaluation.intervalSteps",
       .condition = "self.training.evaluation.intervalSteps > 0 || self.training.evaluation.fraction == 0.0",
       .message = "0 makes no use of fraction",
       .message_expression = "'0 makes no use of fraction, which is %s; expected an integer above 0'.format("
                             "[self.training.evaluation.fraction])"},
      {.field = ".training.evaluation.earlyStopping.patience",
       .condition =
           "self.training.evaluation.intervalSteps > 0 || self.training.evaluation.earlyStopping.patience == 0",
       .message = "needs evaluations; expected intervalSteps above 0",
       .message_expression = "'%d needs evaluations; expected intervalSteps above 0'.format("
                             "[self.training.evaluation.earlyStopping.patience])"},
      {.field = ".scheduling.stepSeconds",
       .condition = "self.scheduling.policy != 'Budget' || self.scheduling.stepSeconds > 0.0",
       .message = "0 is no time; policy Budget expects a number above 0"},
  };
}

// Group -> the names of the sources that exclude each other in it, and whether one must be there.
constexpr char kHub[] = "huggingFace";

struct Sources {
  Names names;
  bool required = false;
};

std::map<std::string, Sources> SourceGroups() {
  std::map<std::string, Sources> groups;
  for (const FieldInfo& field : spec::KnownFields()) {
    if (field.one_of) {
      const size_t dot = field.path.rfind('.');
      Sources& sources = groups[field.path.substr(0, dot)];
      sources.names.push_back(field.path.substr(dot + 1));
      sources.required = field.required;
    }
  }
  return groups;
}

std::string Alternatives(const Names& names) {
  const Names first(names.begin(), names.end() - 1);
  return absl::StrCat(absl::StrJoin(first, ", "), first.empty() ? "" : " or ", names.back());
}

std::vector<Rule> SourceRules() {
  std::vector<Rule> rules;
  for (const auto& [group, sources] : SourceGroups()) {
    Names there;  // those that a cluster has
    std::copy_if(sources.names.begin(), sources.names.end(), std::back_inserter(there),
                 [](const std::string& name) { return name != "path" && name != kHub; });
    const std::string use = there.empty() ? "leave it out" : absl::StrCat("use ", Alternatives(there));
    rules.push_back({.at = group,
                     .field = ".path",
                     .condition = "!has(self.path)",
                     .message = absl::StrCat("a path on your own machine means nothing in a cluster; ", use)});
    if (std::find(sources.names.begin(), sources.names.end(), kHub) != sources.names.end()) {
      rules.push_back({.at = group,
                       .field = absl::StrCat(".", kHub),
                       .condition = absl::StrCat("!has(self.", kHub, ")"),
                       .message = absl::StrCat("models are not fetched yet; put it on a volume and ", use)});
    }
    if (sources.required) {
      const auto append_has = [](std::string* out, const std::string& name) {
        absl::StrAppend(out, "has(self.", name, ")");
      };
      rules.push_back(
          {.at = group,
           .condition = absl::StrCat("[", absl::StrJoin(sources.names, ", ", append_has), "].exists_one(given, given)"),
           .message = absl::StrCat("expected exactly one of ", absl::StrJoin(there, ", "))});
    }
  }
  return rules;
}

// The job's Service is called NAME-aggregator, which must be a label that begins with a letter: Kubernetes' own rule
// for the job's name, and the parser's, is laxer.
constexpr spec::TextForm kJobNameForm = {
    .expected = "a name of lower-case letters, digits and inner '-' that begins with a letter and is at most 52 long",
    .pattern = "[a-z]([-a-z0-9]{0,50}[a-z0-9])?",
};

std::string Matches(const spec::TextForm& form) {
  return absl::StrCat(".matches(r'^(", std::string(form.pattern), ")$')");
}

std::string NotExpected(std::string_view value, const spec::TextForm& form) {
  return absl::StrCat("\"%s is not ", std::string(form.expected), "\".format([", std::string(value), "])");
}

// What strings and the keys of maps must look like. A pattern in the schema would do for strings, but the server's
// error then shows nothing but the pattern. Where a path is refused anyway its form does not matter.
std::vector<Rule> FormRules() {
  std::vector<Rule> rules = {{.at = "",
                              .field = ".metadata.name",
                              .condition = absl::StrCat("self.metadata.name", Matches(kJobNameForm)),
                              .message = absl::StrCat("must be ", std::string(kJobNameForm.expected)),
                              .message_expression = NotExpected("self.metadata.name", kJobNameForm)}};
  for (const FieldInfo& field : spec::KnownFields()) {
    if (field.form.pattern.empty() || !field.path.starts_with("spec.") || field.path.ends_with(".path") ||
        field.path.ends_with(kHub)) {
      continue;
    }
    const std::string expected(field.form.expected);
    if (field.type == spec::FieldType::kIntegerMap || field.type == spec::FieldType::kNumberMap) {
      rules.push_back({.at = field.path,
                       .condition = absl::StrCat("self.all(key, key", Matches(field.form), ")"),
                       .message = absl::StrCat("every key must be ", expected)});
    } else {
      rules.push_back({.at = field.path + (field.type == spec::FieldType::kTextList ? "[]" : ""),
                       .condition = absl::StrCat("self", Matches(field.form)),
                       .message = absl::StrCat("must be ", expected),
                       .message_expression = NotExpected("self", field.form)});
    }
  }
  return rules;
}

// A job is what was asked for: what changes what is trained makes another job. Every field of spec but those with words
// for defaults is there in every job, by its default: so a field cannot come or go unseen.
std::vector<Rule> ImmutabilityRules() {
  constexpr std::array<std::string_view, 3> kMutable = {"spec.suspend", "spec.activeDeadlineSeconds",
                                                        "spec.ttlSecondsAfterFinished"};
  constexpr char kSameOrder[] = " && self.map(c, c.name) == oldSelf.map(c, c.name)";
  std::vector<Rule> rules;
  for (const FieldInfo& field : spec::KnownFields()) {
    const bool of_spec = field.path.starts_with("spec.") && field.path.rfind('.') == std::string_view("spec").size();
    if (of_spec && std::find(kMutable.begin(), kMutable.end(), field.path) == kMutable.end()) {
      // Lists by name are equal in any order, but sums over clients are taken in theirs.
      const bool ordered = field.path == "spec.clients";
      rules.push_back({.at = field.path,
                       .condition = absl::StrCat("self == oldSelf", ordered ? kSameOrder : ""),
                       .message = "cannot be changed once the job exists; delete the job first, or give this one "
                                  "another name"});
    }
  }
  return rules;
}

}  // namespace

std::vector<Rule> JobRules() {
  std::vector<Rule> all;
  for (const auto& part : {RulesBetweenFields(), TrainingRules(), SourceRules(), FormRules(), ImmutabilityRules()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

void AddRules(const std::vector<Rule>& rules, Json& root) {
  for (const Rule& rule : rules) {
    Json entry = {{"rule", rule.condition}, {"message", rule.message}};
    if (!rule.message_expression.empty()) {
      entry["messageExpression"] = rule.message_expression;
    }
    if (!rule.field.empty()) {
      entry["fieldPath"] = rule.field;
    }
    SchemaAt(root, rule.at)["x-kubernetes-validations"].push_back(entry);
  }
}

}  // namespace splitft::crd
