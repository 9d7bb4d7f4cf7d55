#include "operator/observe.h"

#include <gtest/gtest.h>

#include <string>

namespace splitft::controller {
namespace {

using kube::Json;

Json Pod(const Json& status) {
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata",
           {{"name", "job-worker-bank-1"},
            {"namespace", "lab"},
            {"uid", "u1"},
            {"resourceVersion", "7"},
            {"creationTimestamp", "2026-11-24T12:00:00Z"},
            {"deletionTimestamp", "2026-11-24T12:01:00Z"},
            {"labels",
             {{"splitft.io/job", "job"},
              {"splitft.io/role", "worker"},
              {"splitft.io/client", "bank"},
              {"splitft.io/index", "1"},
              {"of-others", "x"}}},
            {"ownerReferences", {{{"uid", "former"}}, {{"uid", "job-uid"}, {"name", "job"}, {"controller", true}}}}}},
          {"spec", {{"containers", {{{"name", "splitft"}}}}}},
          {"status", status}};
}

// Everything of the view, as text.
std::string Describe(const PodView& view) {
  const auto number = [](const auto& value) { return value.has_value() ? std::to_string(*value) : "none"; };
  const auto time = [](const auto& value) { return value.has_value() ? std::to_string(value->count()) : "none"; };
  return Json{view.name,
              view.uid,
              static_cast<int>(view.role),
              view.client,
              view.index,
              static_cast<int>(view.phase),
              view.ready,
              time(view.deletion),
              view.ip,
              number(view.exit_code),
              view.reason,
              view.message,
              view.created.count(),
              time(view.ended)}
      .dump();
}

TEST(TrimPod, LeavesEverythingThatIsLookedAt) {
  const Json condition = {{"type", "Other"}, {"status", "True"}, {"reason", "x"}};
  const Json started = {{"running", {{"startedAt", "2026-11-24T12:00:10Z"}}}};
  const Json ended = {{"terminated",
                       {{"exitCode", 137},
                        {"reason", "OOMKilled"},
                        {"message", "last words"},
                        {"finishedAt", "2026-11-24T12:00:50Z"}}}};
  const Json waiting = {{"waiting", {{"reason", "ImagePullBackOff"}, {"message", "no such image"}}}};
  for (const Json& status : {
           Json::object(),
           Json{{"phase", "Pending"},
                {"conditions",
                 {condition,
                  {{"type", "PodScheduled"}, {"status", "False"}, {"reason", "Unschedulable"}, {"message", "full"}}}}},
           Json{{"phase", "Pending"}, {"containerStatuses", {{{"name", "splitft"}, {"state", waiting}}}}},
           Json{{"phase", "Running"},
                {"podIP", "10.0.0.1"},
                {"conditions", {condition, {{"type", "Ready"}, {"status", "True"}}}},
                {"containerStatuses", {{{"name", "splitft"}, {"ready", true}, {"state", started}}}}},
           Json{{"phase", "Failed"}, {"containerStatuses", {{{"name", "splitft"}, {"state", ended}}}}},
           Json{{"phase", "Failed"}, {"reason", "Evicted"}, {"message", "no memory"}},
           Json{{"phase", "Failed"},
                {"conditions", {{{"type", "DisruptionTarget"}, {"status", "True"}, {"message", "drained"}}}}},
       }) {
    const Json whole = Pod(status);
    Json trimmed = whole;
    TrimPod(trimmed);
    EXPECT_EQ(Describe(ViewOfPod(trimmed)), Describe(ViewOfPod(whole))) << status;
    EXPECT_EQ(kube::KeyOf(trimmed), kube::KeyOf(whole));
    EXPECT_EQ(kube::ResourceVersionOf(trimmed), "7");
    EXPECT_EQ(kube::ControllerUidOf(trimmed), "job-uid");
    EXPECT_EQ(kube::TextAt(trimmed, {"metadata", "labels", "splitft.io/job"}), "job");
    EXPECT_FALSE(trimmed.contains("spec"));
  }
}

TEST(TrimChild, IsUndoneByWholeChild) {
  const Json whole = Pod({{"phase", "of a service"}});
  Json trimmed = whole;
  TrimChild(trimmed);
  EXPECT_EQ(WholeChild(trimmed), whole);
  EXPECT_EQ(kube::UidOf(trimmed), "u1");
  EXPECT_EQ(kube::ResourceVersionOf(trimmed), "7");
  EXPECT_EQ(kube::ControllerUidOf(trimmed), "job-uid");
  EXPECT_EQ(kube::TextAt(trimmed, {"metadata", "labels", "splitft.io/job"}), "job");
}

TEST(TrimJob, LeavesASpecThatIsReadAsBefore) {
  const Json whole = {{"metadata", {{"name", "job"}, {"namespace", "lab"}, {"uid", "u1"}, {"generation", 3}}},
                      {"spec",
                       {{"model", {{"source", {{"persistentVolumeClaim", "models"}}}}},
                        {"training", {{"steps", 5}}},
                        {"clients", {{{"name", "b\u00e4nk"}, {"data", {{"persistentVolumeClaim", "texts/a.txt"}}}}}},
                        {"output", {{"persistentVolumeClaim", "results"}}}}},
                      {"status", {{"state", "Running"}}}};
  Json trimmed = whole;
  TrimJob(trimmed);
  EXPECT_TRUE(trimmed["spec"].is_string());
  EXPECT_EQ(ParseJobObject(trimmed).status(), ParseJobObject(whole).status()) << "a client's name is refused";
  Json good = whole;
  good["spec"]["clients"][0]["name"] = "bank";
  Json good_trimmed = good;
  TrimJob(good_trimmed);
  ASSERT_TRUE(ParseJobObject(good_trimmed).ok()) << ParseJobObject(good_trimmed).status();
  EXPECT_EQ(ParseJobObject(good_trimmed)->clients.front().data.source.value, "texts/a.txt");
  EXPECT_EQ(ViewOfJob(good_trimmed).status, whole["status"]);
  EXPECT_EQ(ViewOfJob(good_trimmed).generation, 3);
}

}  // namespace
}  // namespace splitft::controller
