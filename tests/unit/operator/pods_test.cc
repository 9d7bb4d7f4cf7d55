#include "operator/desired/pods.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/spec/parse.h"
#include "operator/desired/children.h"
#include "operator/desired/job_in_pods.h"
#include "operator/desired/template.h"

namespace splitft::controller {
namespace {

spec::FineTuneJob Job(const std::string& more = "") {
  return spec::ParseJob(
             "apiVersion: splitft.io/v1alpha1\nkind: FineTuneJob\nmetadata: {name: job}\nspec:\n"
             "  model: {source: {persistentVolumeClaim: models/gpt2}}\n  training: {steps: 100}\n  clients:\n"
             "    - name: bank\n      data: {hostPath: /srv/bank.jsonl}\n" +
                 more +
                 "    - {name: hospital, data: {persistentVolumeClaim: texts/a/hospital.txt}}\n"
                 "  output: {persistentVolumeClaim: results/run}\n",
             {.base_directory = "/", .overrides = {}})
      .value();
}

const Owner kOwner{.name_space = "default", .name = "job", .uid = "uid"};
const OperatorSettings kSettings{
    .worker_image = "worker:1", .aggregator_image = "aggregator:1", .aggregator_cuda_image = "aggregator-cuda:1"};

Json Pod(const spec::FineTuneJob& job, const std::string& client) {
  const Member member = client.empty() ? Member{} : Member{spec::Role::kWorker, client};
  return DesiredPod(kOwner, job, {.member = member, .index = 2}, kSettings);
}

TEST(DesiredPod, IsRestricted) {
  for (const char* client : {"", "bank"}) {
    const Json pod = Pod(Job(), client);
    const Json& container = pod["spec"]["containers"][0];
    EXPECT_EQ(pod["spec"]["securityContext"]["runAsNonRoot"], true);
    EXPECT_EQ(pod["spec"]["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    EXPECT_EQ(pod["spec"]["automountServiceAccountToken"], false);
    EXPECT_EQ(container["securityContext"]["capabilities"]["drop"], Json::array({"ALL"}));
    EXPECT_EQ(container["securityContext"]["allowPrivilegeEscalation"], false);
    EXPECT_EQ(container["securityContext"]["readOnlyRootFilesystem"], true);
  }
}

TEST(DesiredPod, SeesItsOwnTextAndNobodyElses) {
  const Json bank = Pod(Job(), "bank");
  EXPECT_NE(bank.dump().find("/srv/bank.jsonl"), std::string::npos);
  EXPECT_EQ(bank.dump().find("hospital"), std::string::npos);
  const Json aggregator = Pod(Job(), "");
  EXPECT_EQ(aggregator.dump().find("bank"), std::string::npos);
  EXPECT_EQ(aggregator.dump().find("texts"), std::string::npos);
}

TEST(DesiredPod, MountsTheManifestsPathsWhereTheManifestInThePodSaysTheyAre) {
  const spec::FineTuneJob job = Job();
  const spec::FineTuneJob inside = JobInPods(job);
  const Json pod = Pod(job, "hospital");
  bool mounted = false;
  for (const Json& mount : pod["spec"]["containers"][0]["volumeMounts"]) {
    if (mount["mountPath"] == inside.clients[1].data.source.value) {
      mounted = true;
      EXPECT_EQ(mount["subPath"], "a/hospital.txt");
    }
  }
  EXPECT_TRUE(mounted);
  EXPECT_EQ(inside.clients[1].data.source.kind, spec::SourceKind::kPath);
}

// A kubelet waits for ever for a pod that names one claim twice.
TEST(DesiredPod, NamesAClaimOnce) {
  const spec::FineTuneJob job = spec::ParseJob(
                                    "apiVersion: splitft.io/v1alpha1\nkind: FineTuneJob\nmetadata: {name: job}\nspec:\n"
                                    "  model: {source: {persistentVolumeClaim: all/gpt2}}\n  training: {steps: 100}\n"
                                    "  clients: [{name: bank, data: {persistentVolumeClaim: all/bank.txt}}]\n"
                                    "  output: {persistentVolumeClaim: all/run}\n",
                                    {.base_directory = "/", .overrides = {}})
                                    .value();
  for (const char* client : {"", "bank"}) {
    const Json pod = Pod(job, client);
    std::vector<std::string> claims;
    for (const Json& volume : pod["spec"]["volumes"]) {
      if (volume.contains("persistentVolumeClaim")) {
        claims.push_back(volume["name"]);
        EXPECT_EQ(volume["persistentVolumeClaim"].contains("readOnly"), client == std::string("bank"));
      }
    }
    EXPECT_THAT(claims, testing::ElementsAre("model"));
    const auto mounts = static_cast<std::vector<Json>>(pod["spec"]["containers"][0]["volumeMounts"]);
    EXPECT_EQ(std::count_if(mounts.begin(), mounts.end(), [](const Json& mount) { return mount["name"] == "model"; }),
              2);
  }
}

// A kubelet makes folders that it does not find in a claim, but not in one that is read-only.
TEST(DesiredPod, ReadsClaimsThatItDoesNotWriteTo) {
  const Json pod = Pod(Job(), "hospital");
  for (const Json& volume : pod["spec"]["volumes"]) {
    if (volume.contains("persistentVolumeClaim")) {
      EXPECT_EQ(volume["persistentVolumeClaim"].value("readOnly", false), true) << volume;
    }
  }
}

TEST(DesiredPod, RunsAsManyThreadsAsItMayUseCores) {
  const Json env = Pod(Job(), "bank")["spec"]["containers"][0]["env"];
  EXPECT_EQ(env,
            (Json{{{"name", "OMP_NUM_THREADS"}, {"valueFrom", {{"resourceFieldRef", {{"resource", "limits.cpu"}}}}}}}));
}

TEST(DesiredPod, AnAggregatorOnAGpuHasTheImageAndTheGpu) {
  spec::FineTuneJob job = Job();
  EXPECT_EQ(Pod(job, "")["spec"]["containers"][0]["image"], "aggregator:1");
  job.aggregator.device = "cuda:0";
  const Json container = Pod(job, "")["spec"]["containers"][0];
  EXPECT_EQ(container["image"], "aggregator-cuda:1");
  EXPECT_EQ(container["resources"]["limits"]["nvidia.com/gpu"], 1);
  EXPECT_FALSE(Pod(job, "bank")["spec"]["containers"][0].contains("resources"));
}

TEST(LayOver, AVariableIsReplacedAsAWhole) {
  const Json pod = {{"env", {{{"name", "A"}, {"valueFrom", 1}}}}};
  const Json over = {{"env", {{{"name", "A"}, {"value", "2"}}}}};
  EXPECT_EQ(LayOver(pod, over), over);
}

TEST(DesiredPod, ATemplateAddsButDoesNotTakeAway) {
  const spec::FineTuneJob job =
      Job("      template:\n        metadata: {labels: {team: risk, splitft.io/job: stolen}}\n        spec:\n"
          "          nodeSelector: {zone: vault}\n          containers:\n"
          "            - {name: splitft, image: \"own:2\", resources: {limits: {cpu: \"2\"}}, env: [{name: A, value: "
          "b}]}\n");
  const Json pod = Pod(job, "bank");
  const Json& container = pod["spec"]["containers"][0];
  EXPECT_EQ(pod["spec"]["containers"].size(), 1U);
  EXPECT_EQ(container["image"], "own:2");
  EXPECT_EQ(container["resources"]["limits"]["cpu"], "2");
  EXPECT_EQ(container["args"][3], "bank");
  EXPECT_EQ(pod["spec"]["nodeSelector"]["zone"], "vault");
  EXPECT_EQ(pod["metadata"]["labels"]["team"], "risk");
  EXPECT_EQ(pod["metadata"]["labels"]["splitft.io/job"], "job");
  EXPECT_EQ(Pod(job, "hospital")["spec"]["containers"][0]["image"], "worker:1");
}

TEST(LayOver, MergesListsByTheirKeys) {
  const Json pod = {{"volumes", {{{"name", "a"}, {"emptyDir", Json::object()}}}}, {"tolerations", {1, 2}}};
  const Json over = {{"volumes", {{{"name", "a"}, {"more", 1}}, {{"name", "b"}}}}, {"tolerations", {3}}};
  EXPECT_EQ(LayOver(pod, over),
            (Json{{"volumes", {{{"name", "a"}, {"emptyDir", Json::object()}, {"more", 1}}, {{"name", "b"}}}},
                  {"tolerations", {3}}}));
}

TEST(Covers, WhatIsWantedNotWhatWasAdded) {
  const Json live = {{"a", {{"b", 1}, {"c", 2}}}, {"list", {{{"x", 1}, {"y", 2}}}}};
  EXPECT_TRUE(Covers(live, {{"a", {{"b", 1}}}}));
  EXPECT_TRUE(Covers(live, {{"list", {{{"x", 1}}}}}));
  EXPECT_TRUE(Covers(live, {{"empty", Json::object()}}));
  EXPECT_FALSE(Covers(live, {{"a", {{"b", 2}}}}));
  EXPECT_FALSE(Covers(live, {{"list", Json::array()}}));
  EXPECT_FALSE(Covers(live, {{"missing", 1}}));
  EXPECT_FALSE(Covers({{"selector", {{"a", 1}, {"b", 2}}}}, {{"selector", {{"a", 1}}}}));
}

TEST(DesiredChildren, TheManifestInThePodsIsReadAsTheJobItIs) {
  const spec::FineTuneJob job = Job();
  const Json map = DesiredChildren(kOwner, job, kSettings)[0];
  const auto read =
      spec::ParseJob(map["data"]["job.yaml"].get<std::string>(), {.base_directory = "/", .overrides = {}});
  ASSERT_TRUE(read.ok()) << read.status();
  spec::FineTuneJob expected = JobInPods(job);
  expected.annotations[spec::kUidAnnotation] = kOwner.uid;
  EXPECT_EQ(*read, expected);
}

}  // namespace
}  // namespace splitft::controller
