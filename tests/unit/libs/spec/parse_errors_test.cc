// What users see when a manifest is wrong, word for word.
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/support/refused_jobs.h"
#include "tests/unit/libs/spec/manifest.h"

namespace splitft::spec {
namespace {

struct BadSection {
  const char* section;
  const char* yaml;
  const char* message;
};

void PrintTo(const BadSection& bad, std::ostream* out) { *out << bad.section << ": " << bad.yaml; }

class BadSections : public ::testing::TestWithParam<BadSection> {};

TEST_P(BadSections, AreRefusedWithPathValueAndWhatWasExpected) {
  EXPECT_EQ(ErrorOf(Manifest({{GetParam().section, GetParam().yaml}})), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Types, BadSections,
    ::testing::Values(
        BadSection{"lora", "7", "spec.lora: 7 is not a mapping"},
        BadSection{"lora", "[rank]", "spec.lora: a list is not a mapping"},
        BadSection{"lora", "{rank: eight}", "spec.lora.rank: eight is not an integer from 1 to 4096"},
        BadSection{"lora", "{rank: \"8\"}",
                   "spec.lora.rank: \"8\" is not an integer from 1 to 4096; remove the quotes"},
        BadSection{"lora", "{rank: 8.5}", "spec.lora.rank: 8.5 is not an integer from 1 to 4096"},
        BadSection{"lora", "{rank: [8]}", "spec.lora.rank: a list is not an integer from 1 to 4096"},
        BadSection{
            "lora", "{rank: 0x8}",
            "spec.lora.rank: 0x8 is not an integer from 1 to 4096; write a finite decimal number without leading "
            "zeros"},
        BadSection{
            "lora", "{rank: 010}",
            "spec.lora.rank: 010 is not an integer from 1 to 4096; write a finite decimal number without leading "
            "zeros"},
        BadSection{
            "lora", "{alpha: .inf}",
            "spec.lora.alpha: .inf is not a number above 0, at most 1000000; write a finite decimal number without "
            "leading zeros"},
        BadSection{"lora", "{alpha: 1e999}",
                   "spec.lora.alpha: 1e999 is not a number above 0, at most 1000000; write a finite decimal number "
                   "without leading zeros"},
        BadSection{"lora", "{alpha: true}", "spec.lora.alpha: true is not a number above 0, at most 1000000"},
        BadSection{"lora", "{targetModules: q_proj}", "spec.lora.targetModules: q_proj is not a list"},
        BadSection{"lora", "{targetModules: [q_proj, 7]}",
                   "spec.lora.targetModules[1]: 7 is a number in YAML; put it in quotes to make it a string"},
        BadSection{
            "lora", "{targetModules: [~]}",
            "spec.lora.targetModules[0]: nothing is not a module's name (letters, digits, '_', '-' and '.', at most "
            "256)"},
        BadSection{"lora", "{targetModules: [q_proj, q_proj]}",
                   "spec.lora.targetModules[1]: q_proj is in the list twice"},
        BadSection{"lora", "{rankPattern: [4]}", "spec.lora.rankPattern: a list is not a mapping"},
        BadSection{"lora", "{rankPattern: {h.0.attn: 0}}",
                   "spec.lora.rankPattern[\"h.0.attn\"]: 0 is not an integer from 1 to 4096"},
        BadSection{"lora", "{rankPattern: {\"\": 4}}",
                   "spec.lora.rankPattern[\"\"]: the key is not a module's name (letters, digits, '_', '-' and '.', at "
                   "most 256)"},
        BadSection{
            "lora", "{alphaPattern: {\"h.*\": 4}}",
            "spec.lora.alphaPattern[\"h.*\"]: the key is not a module's name (letters, digits, '_', '-' and '.', at "
            "most 256)"},
        BadSection{"training", "{steps: 1, packing: yes}", "spec.training.packing: yes is not true or false"},
        BadSection{"training", "{steps: 1, packing: \"true\"}", "spec.training.packing: \"true\" is not true or false"},
        BadSection{"training", "{steps: 1, schedule: Cosine}",
                   "spec.training.schedule: Cosine is not one of constant, linear, cosine; did you mean cosine?"},
        BadSection{"training", "{steps: 1, optimizer: {type: SGD}}",
                   "spec.training.optimizer.type: SGD is not one of AdamW"},
        BadSection{"model", "{source: {path: base}, dtype: bf16}",
                   "spec.model.dtype: bf16 is not one of float32, bfloat16"},
        BadSection{"clients", "{name: a}", "spec.clients: a mapping is not a list"},
        BadSection{"clients", "[hospital]", "spec.clients[0]: hospital is not a mapping"},
        BadSection{"clients", "[~]", "spec.clients[0]: nothing is not a mapping"},
        BadSection{"clients", "[{name: no, data: {path: a}}]",
                   "spec.clients[0].name: no is a boolean in YAML; put it in quotes to make it a string"},
        BadSection{"output", "{path: 2024}",
                   "spec.output.path: 2024 is a number in YAML; put it in quotes to make it a string"}));

INSTANTIATE_TEST_SUITE_P(
    Bounds, BadSections,
    ::testing::Values(
        BadSection{"lora", "{rank: 0}", "spec.lora.rank: 0 is not an integer from 1 to 4096"},
        BadSection{"lora", "{rank: 4097}", "spec.lora.rank: 4097 is not an integer from 1 to 4096"},
        BadSection{"lora", "{rank: 99999999999999999999}",
                   "spec.lora.rank: 99999999999999999999 is not an integer from 1 to 4096"},
        BadSection{"lora", "{alpha: 0}", "spec.lora.alpha: 0 is not a number above 0, at most 1000000"},
        BadSection{"lora", "{dropout: 1}", "spec.lora.dropout: 1 is not a number from 0 to below 1"},
        BadSection{"lora", "{dropout: -0.1}", "spec.lora.dropout: -0.1 is not a number from 0 to below 1"},
        BadSection{"split", "{cutLayer: 0}", "spec.split.cutLayer: 0 is not an integer from 1 to 10000"},
        BadSection{"split", "{minCutLayer: 0}", "spec.split.minCutLayer: 0 is not an integer from 1 to 10000"},
        BadSection{"split", "{tailBlocks: -1}", "spec.split.tailBlocks: -1 is not an integer from 0 to 10000"},
        BadSection{"training", "{steps: 1, learningRate: 0}",
                   "spec.training.learningRate: 0 is not a number above 0, at most 10"},
        BadSection{"training", "{steps: 1, sequenceLength: 1}",
                   "spec.training.sequenceLength: 1 is not an integer from 2 to 1048576"},
        BadSection{"training", "{steps: 1, seed: -1}",
                   "spec.training.seed: -1 is not an integer from 0 to 9223372036854775807"},
        BadSection{"training", "{steps: 1, evaluation: {intervalSteps: 5, fraction: 0.6}}",
                   "spec.training.evaluation.fraction: 0.6 is not a number from 0 to 0.5"},
        BadSection{"clients", "[]", "spec.clients: a list of 0 is not a list of 1 to 1000"},
        BadSection{"clients", "[{name: a, data: {path: a}, weight: 0}]",
                   "spec.clients[0].weight: 0 is not a number above 0, at most 1000000"},
        BadSection{"aggregator", "{device: gpu}", "spec.aggregator.device: gpu is not auto, cpu or cuda:N"},
        BadSection{"aggregator", "{device: \"cuda:\"}", "spec.aggregator.device: \"cuda:\" is not auto, cpu or cuda:N"},
        BadSection{
            "clients", "[{name: St. Mary, data: {path: a}}]",
            "spec.clients[0].name: St. Mary is not a name of lower-case letters, digits and inner '-', at most 63 "
            "long"}));

INSTANTIATE_TEST_SUITE_P(
    Lifecycle, BadSections,
    ::testing::Values(
        BadSection{"suspend", "yes", "spec.suspend: yes is not true or false"},
        BadSection{"activeDeadlineSeconds", "0", "spec.activeDeadlineSeconds: 0 is not an integer from 1 to 315360000"},
        BadSection{"ttlSecondsAfterFinished", "-1",
                   "spec.ttlSecondsAfterFinished: -1 is not an integer from 0 to 315360000"},
        BadSection{"managedBy", "kueue", "spec.managedBy: kueue is not a domain, a slash and a name, at most 63 long"},
        BadSection{"failureRules", "[{role: Worker}]",
                   "spec.failureRules[0].action: missing; expected one of FailJob, Restart, Ignore"},
        BadSection{"failureRules", "[{role: worker, onExitCodes: [0, 137, 137], action: Ignore}]",
                   "spec.failureRules[0].role: worker is not one of Worker, Aggregator; did you mean Worker?\n"
                   "spec.failureRules[0].onExitCodes[0]: 0 is not an integer from 1 to 255\n"
                   "spec.failureRules[0].onExitCodes[2]: 137 is in the list twice"},
        BadSection{"failureRules", "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]",
                   "spec.failureRules: a list of 21 is not a list of 0 to 20"},
        BadSection{"workers", "{template: busybox}", "spec.workers.template: busybox is not a mapping"},
        BadSection{
            "workers", "{template: {spec: {a: yes}}}",
            "spec.workers.template.spec.a: yes is a boolean to some readers of YAML; write true or false, or put "
            "it in quotes"},
        BadSection{"workers", "{template: {a: [1, 0x10]}}",
                   "spec.workers.template.a[1]: 0x10 is not a finite decimal number without leading zeros; put it in "
                   "quotes to make it a string"},
        BadSection{"workers", "{template: {\"\": 1}}",
                   "spec.workers.template[\"\"]: the key is not 1 to 317 bytes without control characters"}));

INSTANTIATE_TEST_SUITE_P(
    Sources, BadSections,
    ::testing::Values(
        BadSection{"output", "", "spec.output: missing; expected one of path, persistentVolumeClaim, hostPath"},
        BadSection{"output", "{}", "spec.output: missing; expected one of path, persistentVolumeClaim, hostPath"},
        BadSection{"output", "{path: out, hostPath: /out}",
                   "spec.output: path and hostPath are given; expected only one of them"},
        BadSection{"output", "{pth: out}", "spec.output.pth: unknown field; did you mean path?"},
        BadSection{
            "output", "{path: \"\"}",
            "spec.output.path: \"\" is not a path (at most 4096 bytes, no control characters; '~' is not expanded)"},
        BadSection{
            "output", "{path: ~/out}",
            "spec.output.path: ~/out is not a path (at most 4096 bytes, no control characters; '~' is not expanded)"},
        BadSection{"output", "{path: \"a\\0b\"}",
                   "spec.output.path: \"a\\x00b\" is not a path (at most 4096 bytes, no control characters; '~' is not "
                   "expanded)"},
        BadSection{"output", "{hostPath: out}",
                   "spec.output.hostPath: out is not an absolute path (at most 1024 bytes, no control characters)"},
        BadSection{"output", "{persistentVolumeClaim: My_Claim}",
                   "spec.output.persistentVolumeClaim: My_Claim is not a claim's name, or claim/path for a path in it "
                   "whose parts do not begin with '.'"},
        BadSection{"output", "{huggingFace: org/name}",
                   "spec.output.huggingFace: unknown field; did you mean spec.model.source.huggingFace?\n"
                   "spec.output: missing; expected one of path, persistentVolumeClaim, hostPath"},
        BadSection{"model", "",
                   "spec.model.source: missing; expected one of path, huggingFace, persistentVolumeClaim, hostPath"},
        BadSection{
            "model", "{source: {huggingFace: a/b/c}}",
            "spec.model.source.huggingFace: a/b/c is not a model on the hub, as in org/name or org/name@revision"},
        BadSection{"clients", "[{name: a}]",
                   "spec.clients[0].data: missing; expected one of path, persistentVolumeClaim, hostPath, configMap"},
        BadSection{"clients", "[{name: a, data: {configMap: texts}}]",
                   "spec.clients[0].data.configMap: texts is not a ConfigMap's name, a slash and one of its keys"},
        BadSection{
            "clients", "[{data: {path: a}}]",
            "spec.clients[0].name: missing; expected a name of lower-case letters, digits and inner '-', at most 63 "
            "long"},
        BadSection{"clients", "", "spec.clients: missing; expected a list of 1 to 1000"}));

INSTANTIATE_TEST_SUITE_P(
    UnknownFields, BadSections,
    ::testing::Values(
        BadSection{"lora", "{rnak: 8}", "spec.lora.rnak: unknown field; did you mean rank?"},
        BadSection{"lora", "{target_modules: [q_proj]}",
                   "spec.lora.target_modules: unknown field; did you mean targetModules?"},
        BadSection{"loar", "{rank: 8}", "spec.loar: unknown field; did you mean lora?"},
        BadSection{"optimizer", "{type: AdamW}",
                   "spec.optimizer: unknown field; did you mean spec.training.optimizer?"},
        BadSection{"zebra", "1",
                   "spec.zebra: unknown field; known here: model, lora, split, training, clients, workers, aggregator, "
                   "output, scheduling, suspend, activeDeadlineSeconds, startDeadlineSeconds, stallTimeoutSeconds, "
                   "ttlSecondsAfterFinished, backoffLimit, failureRules, managedBy"},
        BadSection{"aggregator", "{\"a.b\\n\": 1}",
                   "spec.aggregator[\"a.b\\x0a\"]: unknown field; known here: device, template"},
        // One line for a misspelt field that is required, not a second one that it is missing.
        BadSection{"training", "{stpes: 5}", "spec.training.stpes: unknown field; did you mean steps?"},
        BadSection{"clients", "[{nmae: a, data: {path: a}}]",
                   "spec.clients[0].nmae: unknown field; did you mean name?"}));

// The CRD's tests go through the same ones.
class BrokenRules : public ::testing::TestWithParam<RefusedJob> {};

TEST_P(BrokenRules, AreNamedWithPathValueAndWhatWasExpected) {
  EXPECT_EQ(ErrorOf(JobManifest(GetParam().sections)), GetParam().on_one_machine);
}

INSTANTIATE_TEST_SUITE_P(All, BrokenRules, ::testing::ValuesIn(RefusedJobs()));

TEST(ParseJob, NamesTheClientThatBreaksARule) {
  EXPECT_EQ(ErrorOf(Manifest({{"split", "{cutLayer: 2, minCutLayer: 2, maxCutLayer: 3}"},
                              {"clients",
                               "[{name: a, data: {path: a}}, {name: b, data: {path: b}, cutLayer: 1},"
                               " {name: c, data: {path: c}, cutLayer: 4}]"}})),
            "spec.clients[1].cutLayer: 1 is below spec.split.minCutLayer, which is 2\n"
            "spec.clients[2].cutLayer: 4 is above spec.split.maxCutLayer, which is 3");
  EXPECT_EQ(ErrorOf(Manifest({{"training", "{steps: 1, batchSize: 8, microbatches: 4}"},
                              {"clients",
                               "[{name: a, data: {path: a}}, {name: b, data: {path: b}, batchSize: 2},"
                               " {name: c, data: {path: c}, batchSize: 3}]"}})),
            "spec.training.microbatches: 4 is above spec.clients[1].batchSize, which is 2");
}

TEST(ParseJob, NamesEveryProblemAtOnce) {
  EXPECT_EQ(ErrorOf("apiVersion: v1\n"
                    "metadata: {name: Quick_Start}\n"
                    "spec:\n"
                    "  lora: {rank: 0}\n"
                    "  trainign: {steps: 5}\n"
                    "  clients: [{name: a, data: {path: a}, cutLayer: x}]\n"
                    "status: {}\n"),
            "apiVersion: v1 is not one of splitft.io/v1alpha1\n"
            "metadata.name: Quick_Start is not a name of lower-case letters, digits and inner '-', at most 63 long\n"
            "spec.model.source: missing; expected one of path, huggingFace, persistentVolumeClaim, hostPath\n"
            "spec.lora.rank: 0 is not an integer from 1 to 4096\n"
            "spec.clients[0].cutLayer: x is not an integer from 1 to 10000\n"
            "spec.output: missing; expected one of path, persistentVolumeClaim, hostPath\n"
            "spec.trainign: unknown field; did you mean training?\n"
            "status: unknown field; known here: apiVersion, kind, metadata, spec\n"
            "kind: missing; expected FineTuneJob");
}

TEST(ParseJob, SaysNothingOfRulesWhoseFieldsAreWrong) {
  EXPECT_EQ(ErrorOf(Manifest({{"training", "{steps: many, warmupSteps: 5}"}})),
            "spec.training.steps: many is not an integer from 0 to 1000000000");
  EXPECT_EQ(ErrorOf(Manifest({{"split", "{cutLayer: 0, minCutLayer: 4}"}})),
            "spec.split.cutLayer: 0 is not an integer from 1 to 10000");
  EXPECT_EQ(ErrorOf(Manifest({{"training", "[]"}})), "spec.training: a list is not a mapping");
}

TEST(ParseJob, CountsProblemsBeyondAHundred) {
  std::string keys;
  for (int i = 0; i < 150; ++i) {
    keys += "zebra" + std::to_string(i) + ": 1, ";
  }
  const std::string error = ErrorOf(Manifest({{"aggregator", "{" + keys + "}"}}));
  EXPECT_EQ(std::count(error.begin(), error.end(), '\n'), 100);
  EXPECT_TRUE(error.ends_with("\nand 50 more")) << error;
}

TEST(ParseJob, LimitsEntriesOfListsAndMaps) {
  const auto entries = [](int count, const std::string& value) {
    std::string all;
    for (int i = 0; i < count; ++i) {
      absl::StrAppend(&all, "h", i, value, ", ");
    }
    return all;
  };
  EXPECT_EQ(ErrorOf(Manifest({{"lora", "{targetModules: [" + entries(1000, "") + "]}"}})), "OK");
  EXPECT_EQ(ErrorOf(Manifest({{"lora", "{targetModules: [" + entries(1001, "") + "]}"}})),
            "spec.lora.targetModules: 1001 entries; at most 1000 are allowed");
  EXPECT_EQ(ErrorOf(Manifest({{"lora", "{rankPattern: {" + entries(1001, ": 4") + "}}"}})),
            "spec.lora.rankPattern: 1001 entries; at most 1000 are allowed");
}

TEST(ParseJob, LimitsAPodTemplatesLength) {
  EXPECT_EQ(ErrorOf(Manifest({{"workers", "{template: {a: " + std::string(33'000, 'x') + "}}"}})),
            "spec.workers.template: longer than 32768 bytes as JSON");
}

TEST(ParseJob, ShortensLongValues) {
  EXPECT_EQ(ErrorOf(Manifest({{"aggregator", "{device: " + std::string(200, 'x') + "}"}})),
            "spec.aggregator.device: " + std::string(60, 'x') + "... is not auto, cpu or cuda:N");
}

TEST(ParseJob, RefusesPathsThatGetTooLong) {
  EXPECT_EQ(ErrorOf(Manifest({{"output", "{path: " + std::string(4095, 'x') + "}"}})),
            "spec.output.path: " + std::string(60, 'x') +
                "... is 4101 bytes long as an absolute path; at most 4096 are allowed");
}

TEST(ParseJob, RefusesWhatIsNoMapping) {
  constexpr char kExpected[] = "; expected a mapping with apiVersion, kind, metadata and spec";
  EXPECT_EQ(ErrorOf(""), std::string("the manifest is nothing") + kExpected);
  EXPECT_EQ(ErrorOf("# only a comment\n"), std::string("the manifest is nothing") + kExpected);
  EXPECT_EQ(ErrorOf("hello"), std::string("the manifest is hello") + kExpected);
  EXPECT_EQ(ErrorOf("[1, 2]"), std::string("the manifest is a list") + kExpected);
}

TEST(ParseJob, SaysOnlyWhatIsNoPlainYamlWhereSomethingIs) {
  EXPECT_EQ(ErrorOf("apiVersion: &v v1\nkind: !!str x\n"),
            "line 1: an anchor (&); write the value out where it is used\n"
            "line 2: the tag tag:yaml.org,2002:str; tags are not allowed");
}

TEST(ParseJob, LimitsTheManifestsLength) {
  const std::string yaml = Manifest() + "#" + std::string(kManifestLimitBytes, '-');
  EXPECT_EQ(ErrorOf(yaml),
            "the manifest is " + std::to_string(yaml.size()) + " bytes long; at most 262144 are allowed");
  EXPECT_TRUE(ParseJob(yaml, {.base_directory = "/jobs", .limit_bytes = yaml.size()}).ok());
}

TEST(ParseJob, ChecksLabelsAndAnnotationsLoosely) {
  const std::string name = "{name: quickstart}";
  std::string yaml = Manifest();
  yaml.replace(yaml.find(name), name.size(), "{name: quickstart, labels: {\"\": a, b: 1}, annotations: {c: ~}}");
  EXPECT_EQ(ErrorOf(yaml),
            "metadata.labels[\"\"]: the key is not 1 to 317 bytes without control characters\n"
            "metadata.labels.b: 1 is a number in YAML; put it in quotes to make it a string\n"
            "metadata.annotations.c: nothing is not a string");
}

TEST(ParseJob, IsInvalidArgument) { EXPECT_TRUE(absl::IsInvalidArgument(Parse("hello").status())); }

}  // namespace
}  // namespace splitft::spec
