// The committed CustomResourceDefinition on a real API server: what it takes, what it refuses and in which words.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/spec/parse.h"
#include "tests/support/kube/api_server_environment.h"
#include "tests/support/refused_jobs.h"

namespace splitft {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kDefinition[] = SPLITFT_SOURCE_DIR "/api/crd/finetunejobs.yaml";

// One server for all tests; each of them that stores a job gives it a name of its own.
class ClusterWithDefinition : public ApiServerEnvironment {
 public:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(ApiServerEnvironment::SetUp());
    ASSERT_THAT(Kubectl({"apply", "--filename", kDefinition}), HasSubstr("created"));
    // A definition is Established before every part of the server speaks of it: the list of resources, which kubectl
    // also keeps in a cache until it is asked for it, and the schemas that explain reads.
    ASSERT_TRUE(Comes({"api-resources", "--api-group=splitft.io"}, "ftj"));
    ASSERT_TRUE(Comes({"get", "--raw", "/openapi/v3/apis/splitft.io/v1alpha1"}, "FineTuneJob"));
  }

  // Waits, a minute at most, until kubectl's output has `part` in it.
  bool Comes(const std::vector<std::string>& words, const std::string& part) const {
    const TimePoint deadline = SystemClock().Now() + std::chrono::minutes(1);
    while (Kubectl(words).find(part) == std::string::npos) {
      if (SystemClock().Now() > deadline) {
        return false;
      }
      SystemClock().SleepFor(std::chrono::milliseconds(100));
    }
    return true;
  }

  // What it prints, or its error in words, without those that stand before every message of a rule.
  std::string Kubectl(const std::vector<std::string>& words) const {
    const absl::StatusOr<std::string> printed = server().Kubectl(words);
    return absl::StrReplaceAll(printed.ok() ? *printed : printed.status().ToString(),
                               {{"Invalid value: \"object\": ", ""}, {"Invalid value: \"string\": ", ""}});
  }
};

auto* const cluster =
    static_cast<ClusterWithDefinition*>(::testing::AddGlobalTestEnvironment(new ClusterWithDefinition));

// Has the server create the job, and store it or not.
std::string Create(const std::string& manifest, bool dry_run = true) {
  const std::string file = absl::StrCat(::testing::TempDir(), "/crd_test_job.yaml");
  const absl::Status written = WriteFileAtomically(file, manifest);
  return written.ok()
             ? cluster->Kubectl({"create", "--filename", file, dry_run ? "--dry-run=server" : "--dry-run=none"})
             : written.ToString();
}

std::string Named(const std::string& manifest, const std::string& name) {
  return absl::StrReplaceAll(manifest, {{"{name: quickstart}", absl::StrCat("{name: ", name, "}")}});
}

std::string Parsed(const std::string& manifest) {
  const absl::StatusOr<spec::FineTuneJob> job = spec::ParseJob(manifest, {.base_directory = "/", .overrides = {}});
  return job.ok() ? spec::FormatJob(*job) : job.status().ToString();
}

class BrokenRules : public ::testing::TestWithParam<RefusedJob> {};

TEST_P(BrokenRules, AreNamed) {
  const RefusedJob& job = GetParam();
  EXPECT_THAT(Create(JobManifest(job.sections)),
              HasSubstr(job.in_a_cluster.empty() ? job.on_one_machine : job.in_a_cluster));
}

INSTANTIATE_TEST_SUITE_P(All, BrokenRules, ::testing::ValuesIn(RefusedJobs()));

// What only a cluster refuses, or the schema and not a rule.
struct Mistake {
  const char* section;
  const char* yaml;
  const char* message;
};

void PrintTo(const Mistake& mistake, std::ostream* out) { *out << mistake.section << ": " << mistake.yaml; }

class Mistakes : public ::testing::TestWithParam<Mistake> {};

TEST_P(Mistakes, AreExplained) {
  EXPECT_THAT(Create(JobManifest({{GetParam().section, GetParam().yaml}})), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    All, Mistakes,
    ::testing::Values(
        Mistake{"model", "{source: {path: base}}",
                "spec.model.source.path: a path on your own machine means nothing in a cluster; use "
                "persistentVolumeClaim or hostPath"},
        Mistake{"clients", "[{name: a, data: {path: a.txt}}]",
                "spec.clients[0].data.path: a path on your own machine means nothing in a cluster; use "
                "persistentVolumeClaim, hostPath or configMap"},
        Mistake{"output", "{path: out}", "spec.output.path: a path on your own machine means nothing in a cluster"},
        Mistake{"lora", "{initialAdapter: {path: a}}", "spec.lora.initialAdapter.path: a path on your own machine"},
        Mistake{"lora", "{rnak: 8}", "unknown field \"spec.lora.rnak\""},
        Mistake{"lora", "{rank: 0}", "spec.lora.rank in body should be greater than or equal to 1"},
        Mistake{"lora", "{alpha: 0}", "spec.lora.alpha in body should be greater than 0"},
        Mistake{"lora", "{targetModules: [q_proj, q_proj]}", "spec.lora.targetModules[1]: Duplicate value"},
        Mistake{"lora", "{targetModules: [\"q proj\"]}", "spec.lora.targetModules[0]: q proj is not a module's name"},
        Mistake{"model", "{source: {huggingFace: a/b}}",
                "spec.model.source.huggingFace: models are not fetched yet; put it on a volume and use "
                "persistentVolumeClaim or hostPath"},
        Mistake{"model", "{source: {persistentVolumeClaim: a/../b}}",
                "spec.model.source.persistentVolumeClaim: a/../b is not a claim's name, or claim/path for a path in it "
                "whose parts do not begin with '.'"},
        Mistake{"workers", "{template: {spec: {volumes: [{name: v, hostPath: {path: /}}]}}}",
                "unknown field \"spec.workers.template.spec.volumes[0].hostPath\""},
        Mistake{"workers", "{template: {spec: {volumes: [{name: v}]}}}",
                "volumes[0]: expected exactly one of configMap"},
        Mistake{"aggregator", "{template: {spec: {volumes: [{name: data, emptyDir: {}}]}}}",
                "volumes[0].name: job, tmp, model, data and output are splitft's own; expected another name"},
        Mistake{"aggregator", "{template: {spec: {containers: [{volumeMounts: [{name: v, mountPath: /splitft/x}]}]}}}",
                "volumeMounts[0].mountPath: /splitft is splitft's own; expected another place"},
        Mistake{"model", "", "spec.model: Required value"},
        Mistake{"clients", "[]", "spec.clients in body should have at least 1 items"},
        Mistake{"clients", "[{name: a}]", "spec.clients[0].data: Required value"},
        Mistake{"clients", "[{name: St. Mary, data: {hostPath: /a}}]",
                "spec.clients[0].name: St. Mary is not a name of lower-case letters, digits and inner '-'"},
        Mistake{"output", "{hostPath: out}", "spec.output.hostPath: out is not an absolute path"},
        Mistake{"aggregator", "{device: gpu}", "spec.aggregator.device: gpu is not auto, cpu or cuda:N"},
        Mistake{"aggregator", "{template: {spec: {hostNetwork: true}}}",
                "unknown field \"spec.aggregator.template.spec.hostNetwork\""},
        Mistake{"workers", "{template: {spec: {containers: [{image: a}, {name: b}]}}}", "must have at most 1 item"},
        Mistake{"failureRules", "[{role: worker, action: Ignore}]", "supported values: \"Worker\", \"Aggregator\""},
        Mistake{"managedBy", "kueue", "spec.managedBy: kueue is not a domain, a slash and a name, at most 63 long"},
        Mistake{"activeDeadlineSeconds", "0", "in body should be greater than or equal to 1"}));

TEST(Definition, RefusesNamesThatMakeNoHostName) {
  EXPECT_THAT(Create(Named(JobManifest(), "my.job")), HasSubstr("metadata.name: my.job is not a name of lower-case"));
  EXPECT_THAT(Create(Named(JobManifest(), "1st")), HasSubstr("1st is not a name"));
  EXPECT_THAT(Create(Named(JobManifest(), std::string(53, 'a'))), HasSubstr("at most 52 long"));
}

TEST(Definition, GivesTheParsersDefaults) {
  const std::string manifest = Named(JobManifest({{"failureRules", "[{role: Worker, action: Ignore}]"}}), "defaults");
  ASSERT_THAT(Create(manifest, /*dry_run=*/false), HasSubstr("created"));
  const std::string stored = cluster->Kubectl({"get", "ftj", "defaults", "--output=jsonpath={.spec}"});
  EXPECT_THAT(stored, HasSubstr("\"beta2\":0.999"));
  EXPECT_EQ(Parsed(absl::StrCat(R"({"apiVersion": "splitft.io/v1alpha1", "kind": "FineTuneJob", )",
                                R"("metadata": {"name": "defaults"}, "spec": )", stored, "}")),
            Parsed(manifest));
}

TEST(Definition, KeepsPodTemplatesWhole) {
  const std::string pod =
      R"({"metadata":{"annotations":{"a/b":"c"},"labels":{"kueue.x-k8s.io/queue-name":"q"}},"spec":{)"
      R"("affinity":{"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[]}},)"
      R"("containers":[{"env":[{"name":"A","valueFrom":{"secretKeyRef":{"key":"k","name":"s"}}}],)"
      R"("image":"a/b:1","name":"splitft","resources":{"limits":{"cpu":"500m","nvidia.com/gpu":1}},)"
      R"("volumeMounts":[{"mountPath":"/x","name":"v"}]}],"schedulingGates":[{"name":"a.b/c"}],)"
      R"("tolerations":[{"effect":"NoSchedule","key":"gpu","operator":"Exists"}],)"
      R"("volumes":[{"emptyDir":{"medium":"Memory"},"name":"v"}]}})";
  const std::string workers = absl::StrCat("{template: ", pod, "}");
  ASSERT_THAT(Create(Named(JobManifest({{"workers", workers}}), "template"), /*dry_run=*/false), HasSubstr("created"));
  EXPECT_EQ(cluster->Kubectl({"get", "ftj", "template", "--output=jsonpath={.spec.workers.template}"}), pod);
}

class Changes : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { Create(Named(JobManifest(), "changes"), /*dry_run=*/false); }
  static std::string Patch(const std::string& spec) {
    return cluster->Kubectl({"patch", "ftj", "changes", "--type=merge", "--dry-run=server", "--output=name",
                             absl::StrCat("--patch={\"spec\": {", spec, "}}")});
  }
};

TEST_F(Changes, AreRefusedOnceTheJobExists) {
  for (const char* spec :
       {R"("model": {"dtype": "bfloat16"})", R"("lora": {"rank": 4})", R"("split": {"cutLayer": 3})",
        R"("training": {"steps": 7})", R"("workers": {"template": {}})", R"("aggregator": {"device": "cpu"})",
        R"("output": {"persistentVolumeClaim": "other"})", R"("startDeadlineSeconds": 1)",
        R"("stallTimeoutSeconds": 1)", R"("backoffLimit": 1)",
        R"("failureRules": [{"role": "Worker", "action": "Ignore"}])", R"("managedBy": "example.org/other")",
        R"("clients": [{"name": "bank", "data": {"hostPath": "/b.jsonl"}},
                       {"name": "hospital", "data": {"persistentVolumeClaim": "a/a.txt"}}])"}) {
    const std::string field = std::string(spec).substr(1, std::string(spec).find('"', 1) - 1);
    EXPECT_THAT(Patch(spec), AllOf(HasSubstr(absl::StrCat("spec.", field, ": ")),
                                   HasSubstr("cannot be changed once the job exists; delete the job first")))
        << spec;
  }
}

TEST_F(Changes, OfHowLongTheJobLivesAreTaken) {
  for (const char* spec : {R"("suspend": true)", R"("activeDeadlineSeconds": 60)", R"("ttlSecondsAfterFinished": 0)"}) {
    EXPECT_THAT(Patch(spec), HasSubstr("finetunejob.splitft.io/changes")) << spec;
  }
}

TEST(Definition, ShowsProgressInColumns) {
  ASSERT_THAT(Create(Named(JobManifest(), "columns"), /*dry_run=*/false), HasSubstr("created"));
  ASSERT_THAT(
      cluster->Kubectl({"patch", "ftj", "columns", "--subresource=status", "--type=merge", R"(--patch={"status": {
      "state": "Running", "summary": {"steps": "120/300", "remaining": "4m10s", "clients": "2/2", "cuts": "1,2"},
      "progress": {"step": 120, "totalSteps": 300, "percent": 40, "loss": "2.5498", "tokensPerSecond": 1834}}})"}),
      HasSubstr("patched"));
  const auto row = [](const std::string& option) {
    const std::string table = cluster->Kubectl({"get", "ftj", "columns", "--no-headers", option});
    return std::vector<std::string>(absl::StrSplit(table, absl::ByAnyChar(" \n"), absl::SkipEmpty()));
  };
  using ::testing::_;  // the age
  EXPECT_THAT(row("--output="), ElementsAre("columns", "Running", "120/300", "2.5498", "4m10s", "2/2", _));
  EXPECT_THAT(row("--output=wide"),
              ElementsAre("columns", "Running", "120/300", "2.5498", "4m10s", "2/2", _, "1,2", "1834"));
}

TEST(Definition, TeachesByExplain) {
  EXPECT_THAT(cluster->Kubectl({"explain", "ftj.spec.split"}),
              AllOf(HasSubstr("Where the model is cut."), HasSubstr("cutLayer"), HasSubstr("1 to 10000")));
}

}  // namespace
}  // namespace splitft
