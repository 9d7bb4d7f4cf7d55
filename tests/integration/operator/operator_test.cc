// The operator against a real API server, which has no nodes: pods never run, so what is tested is what is made.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "libs/kube/client.h"
#include "libs/kube/http_transport.h"
#include "libs/kube/observed_transport.h"
#include "libs/telemetry/telemetry_server.h"
#include "operator/decide/outcome.h"
#include "operator/job_operator.h"
#include "operator/types.h"
#include "tests/support/kube/api_server_environment.h"

namespace splitft::controller {
namespace {

using kube::Json;
using kube::TextAt;

class ClusterWithJobs : public ApiServerEnvironment {
 public:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(ApiServerEnvironment::SetUp());
    const auto applied =
        server().Kubectl({"apply", "--server-side", "-f", SPLITFT_SOURCE_DIR "/api/crd/finetunejobs.yaml"});
    ASSERT_TRUE(applied.ok()) << applied.status();
    absl::Status served = absl::UnavailableError("not asked yet");
    for (int i = 0; i < 50 && !served.ok(); ++i) {  // kubectl gives up on a kind that has no conditions yet
      SystemClock().SleepFor(std::chrono::milliseconds(100));
      served = server()
                   .Kubectl({"wait", "--for=condition=Established", "--timeout=60s", "crd/finetunejobs.splitft.io"})
                   .status();
    }
    ASSERT_TRUE(served.ok()) << served;
  }
};
auto* const environment = static_cast<ApiServerEnvironment*>(testing::AddGlobalTestEnvironment(new ClusterWithJobs));

std::unique_ptr<kube::Transport> Connect() {
  const auto cluster = kube::FromKubeconfig(environment->server().kubeconfig(), "", SystemClock());
  return kube::MakeHttpTransport(*cluster, {}, SystemClock()).value();
}

// Lets `left` writes pass; the next reaches the server or not, but its answer never comes back; nor does anything
// after.
class DyingTransport final : public kube::Transport {
 public:
  DyingTransport(kube::Transport& real, int writes, bool arrives) : real_(real), left_(writes), arrives_(arrives) {}

  absl::StatusOr<kube::Response> Send(const kube::Request& request, Duration timeout) override {
    if (request.method == kube::Method::kGet || request.resource == "events") {
      return dead_ ? absl::UnavailableError("dead") : real_.Send(request, timeout);
    }
    const int before = left_--;
    if (before > 0) {
      return real_.Send(request, timeout);
    }
    dead_ = true;
    if (before == 0 && arrives_) {
      static_cast<void>(real_.Send(request, timeout));
    }
    return absl::UnavailableError("dead");
  }
  absl::Status Stream(const kube::Request& request, Duration idle_limit, std::stop_token stop,
                      const Sink& sink) override {
    return real_.Stream(request, idle_limit, std::move(stop), sink);
  }
  bool dead() const { return dead_; }

 private:
  kube::Transport& real_;
  std::atomic<int> left_;
  std::atomic<bool> dead_ = false;
  const bool arrives_;
};

// An operator that works in its own thread.
class Running {
 public:
  Running(kube::Transport& transport, const std::string& name_space)
      : transport_(transport, SystemClock(),
                   [this](const kube::RequestOutcome& outcome) { metrics_.Requested(outcome); }),
        operator_(
            {.transport = transport_, .clock = SystemClock(), .log = log_, .metrics = metrics_},
            {.name_space = name_space,
             .identity = "test",
             .settings = {.worker_image = "worker:1", .aggregator_image = "aggregator:1"},
             .watch = {.backoff = {.first = std::chrono::milliseconds(20), .most = std::chrono::milliseconds(500)}},
             .queue = {.backoff = {.first = std::chrono::milliseconds(20), .most = std::chrono::milliseconds(500)}}}),
        thread_([this](const std::stop_token& stop) { operator_.Run(stop); }) {}

  // What Prometheus would read.
  std::string Scrape() const {
    const auto answer = httplib::Client("127.0.0.1", server_->port()).Get("/metrics");
    return answer ? answer->body : "";
  }

 private:
  const telemetry::Log log_{{.program = "operator", .level = telemetry::LogLevel::kError}, SystemClock()};
  telemetry::Metrics all_metrics_;
  const OperatorMetrics metrics_{all_metrics_};
  const std::unique_ptr<telemetry::TelemetryServer> server_ =
      telemetry::TelemetryServer::Start("127.0.0.1:0", all_metrics_).value();
  kube::ObservedTransport transport_;
  JobOperator operator_;
  std::jthread thread_;
};

class OnAServer : public testing::Test {
 protected:
  void SetUp() override {
    static int count = 0;
    transport_ = Connect();
    client_ = std::make_unique<kube::Client>(*transport_, SystemClock());
    name_space_ = absl::StrCat("jobs-", ++count);
    Make({"", "v1", "Namespace", "namespaces", false},
         {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name_space_}}}});
  }

  void Make(const kube::ResourceType& type, const Json& object) {
    const auto made = client_->Create(type, object);
    ASSERT_TRUE(made.ok()) << made.status();
  }
  void MakeJob(const std::string& name) {
    Make(kFineTuneJob, {{"apiVersion", "splitft.io/v1alpha1"},
                        {"kind", "FineTuneJob"},
                        {"metadata", {{"name", name}, {"namespace", name_space_}}},
                        {"spec",
                         {{"model", {{"source", {{"hostPath", "/model"}}}}},
                          {"training", {{"steps", 5}}},
                          {"clients", Json::array({{{"name", "bank"}, {"data", {{"hostPath", "/bank.jsonl"}}}},
                                                   {{"name", "hospital"}, {"data", {{"hostPath", "/hospital.txt"}}}}})},
                          {"output", {{"persistentVolumeClaim", "results"}}}}}});
  }
  std::vector<Json> Objects(const kube::ResourceType& type) {
    const std::string selector = type == kFineTuneJob ? "" : "splitft.io/job";
    auto objects = client_->List(type, {.name_space = name_space_, .label_selector = selector});
    EXPECT_TRUE(objects.ok()) << objects.status();
    return objects.ok() ? *std::move(objects) : std::vector<Json>();
  }
  std::vector<std::string> Names(const kube::ResourceType& type) {
    std::vector<std::string> names;
    for (const Json& object : Objects(type)) {
      names.push_back(kube::KeyOf(object).name);
    }
    return names;
  }
  // Here nobody collects garbage.
  void RemoveJob(const std::string& job) {
    ASSERT_TRUE(client_->Delete(kFineTuneJob, {name_space_, job}).ok());
    for (const kube::ResourceType* type : {&kPod, &kConfigMap, &kService, &kServiceAccount, &kNetworkPolicy}) {
      for (const std::string& name : Names(*type)) {
        ASSERT_TRUE(client_->Delete(*type, {name_space_, name}, {.grace_seconds = 0}).ok());
      }
    }
  }
  std::string State(const std::string& job) {
    const auto object = client_->Get(kFineTuneJob, {name_space_, job});
    return object.ok() ? std::string(TextAt(*object, {"status", "state"})) : "";
  }
  // Where the bank's was deleted, that may be its second.
  bool EveryMemberHasAPod(const std::string& job) {
    const std::vector<std::string> names = Names(kPod);
    return names.size() == 3 && names[0] == job + "-aggregator-0" && names[1].starts_with(job + "-worker-bank-") &&
           names[2] == job + "-worker-hospital-0";
  }
  bool IsWhole(const std::string& job) {
    return EveryMemberHasAPod(job) && Names(kConfigMap).size() == 1 && Names(kService).size() == 1 &&
           Names(kNetworkPolicy).size() == 1 && Names(kServiceAccount).size() == 1 && State(job) == "Pending";
  }
  static bool Eventually(const std::function<bool()>& condition) {
    for (int i = 0; i < 600 && !condition(); ++i) {
      SystemClock().SleepFor(std::chrono::milliseconds(50));
    }
    return condition();
  }

  std::unique_ptr<kube::Transport> transport_;
  std::unique_ptr<kube::Client> client_;
  std::string name_space_;
};

TEST_F(OnAServer, MakesAJobAndThenWritesNothing) {
  MakeJob("quiet");
  const Running running(*transport_, name_space_);
  ASSERT_TRUE(Eventually([&] { return IsWhole("quiet"); }));
  SystemClock().SleepFor(std::chrono::milliseconds(300));
  const auto versions = [&] {
    std::vector<std::string> all;
    for (const kube::ResourceType* type : {&kFineTuneJob, &kPod, &kConfigMap, &kService, &kNetworkPolicy}) {
      for (const Json& object : Objects(*type)) {
        all.emplace_back(kube::ResourceVersionOf(object));
      }
    }
    return all;
  };
  const std::vector<std::string> before = versions();
  // A change that means nothing makes it look again.
  ASSERT_TRUE(
      client_->MergePatch(kFineTuneJob, {name_space_, "quiet"}, {{"metadata", {{"labels", {{"a", "b"}}}}}}).ok());
  SystemClock().SleepFor(std::chrono::milliseconds(500));
  std::vector<std::string> after = versions();
  EXPECT_NE(after[0], before[0]);
  after[0] = before[0];
  EXPECT_EQ(after, before);
}

TEST_F(OnAServer, APodHasAllThatItsTemplateSays) {
  Make(kFineTuneJob,
       {{"apiVersion", "splitft.io/v1alpha1"},
        {"kind", "FineTuneJob"},
        {"metadata", {{"name", "mine"}, {"namespace", name_space_}}},
        {"spec",
         {{"model", {{"source", {{"hostPath", "/model"}}}}},
          {"training", {{"steps", 5}}},
          {"workers",
           {{"template",
             {{"metadata", {{"labels", {{"team", "risk"}}}, {"annotations", {{"example.org/note", "kept"}}}}},
              {"spec", {{"nodeSelector", {{"zone", "vault"}}}}}}}}},
          {"clients", Json::array({{{"name", "bank"}, {"data", {{"hostPath", "/bank.jsonl"}}}}})},
          {"output", {{"persistentVolumeClaim", "results"}}}}}});
  const Running running(*transport_, name_space_);
  ASSERT_TRUE(Eventually([&] { return client_->Get(kPod, {name_space_, "mine-worker-bank-0"}).ok(); }));
  const Json pod = client_->Get(kPod, {name_space_, "mine-worker-bank-0"}).value();
  EXPECT_EQ(TextAt(pod, {"metadata", "labels", "team"}), "risk");
  EXPECT_EQ(TextAt(pod, {"metadata", "annotations", "example.org/note"}), "kept");
  EXPECT_EQ(TextAt(pod, {"spec", "nodeSelector", "zone"}), "vault");
}

TEST_F(OnAServer, WhatCannotBeMadeIsSaidAndMadeLater) {
  Make(kConfigMap,
       {{"apiVersion", "v1"},
        {"kind", "ConfigMap"},
        {"metadata", {{"name", "taken-job"}, {"namespace", name_space_}, {"labels", {{"splitft.io/job", "x"}}}}}});
  MakeJob("taken");
  const Running running(*transport_, name_space_);
  const auto condition = [&] {
    const auto job = client_->Get(kFineTuneJob, {name_space_, "taken"});
    const Json status = job.ok() ? job->value("status", Json()) : Json();
    const Json* found = FindCondition(status, "Running");
    return found == nullptr ? Json(Json::object()) : *found;
  };
  EXPECT_TRUE(Eventually([&] { return condition().value("reason", "") == "Refused"; })) << condition();
  EXPECT_THAT(condition().value("message", ""), testing::HasSubstr("ConfigMap taken-job"));
  ASSERT_TRUE(client_->Delete(kConfigMap, {name_space_, "taken-job"}).ok());
  EXPECT_TRUE(Eventually([&] { return IsWhole("taken"); }));
  EXPECT_EQ(condition().value("reason", ""), "PodsPending");
}

TEST_F(OnAServer, ItsMetricsSayWhatItDoes) {
  // Its value at a scrape of now; -1 where there is no such series.
  const auto value = [](const Running& running, const std::string& series) {
    double found = -1;
    for (const std::string& line : std::vector<std::string>(absl::StrSplit(running.Scrape(), '\n'))) {
      if (line.starts_with(series + " ")) {
        EXPECT_TRUE(absl::SimpleAtod(line.substr(series.size() + 1), &found)) << line;
      }
    }
    return found;
  };
  MakeJob("measured");
  const Running running(*transport_, name_space_);
  ASSERT_TRUE(Eventually([&] { return IsWhole("measured"); }));
  EXPECT_EQ(value(running, "splitft_operator_leader"), 1);
  EXPECT_TRUE(Eventually([&] { return value(running, "splitft_operator_jobs{state=\"Pending\"}") == 1; }));
  EXPECT_EQ(value(running, "splitft_operator_jobs{state=\"Running\"}"), 0);
  EXPECT_TRUE(Eventually([&] { return value(running, "splitft_operator_workqueue_depth") == 0; }));
  const double reconciles = value(running, "splitft_operator_reconcile_total{result=\"success\"}");
  EXPECT_GE(reconciles, 2) << "one that makes the job's children, one that sees them";
  EXPECT_GE(value(running, "splitft_operator_workqueue_adds_total"), reconciles);
  EXPECT_GE(value(running, "splitft_operator_reconcile_duration_seconds_count"), reconciles);
  EXPECT_GE(value(running, "splitft_operator_workqueue_queue_duration_seconds_count"), reconciles);
  EXPECT_EQ(value(running, "splitft_operator_api_requests_total{code=\"200\",verb=\"list\"}"), 6) << "kinds";
  EXPECT_GE(value(running, "splitft_operator_api_requests_total{code=\"201\",verb=\"create\"}"), 7)
      << "children; events come when they come";
  EXPECT_GT(value(running, "splitft_operator_api_request_duration_seconds_sum{verb=\"create\"}"), 0);
}

TEST_F(OnAServer, ACrashAtAnyWriteIsMadeGood) {
  for (const bool arrives : {false, true}) {
    for (int writes = 0; writes < 9; ++writes) {
      SCOPED_TRACE(absl::StrCat("after ", writes, " writes; the next ", arrives ? "arrives" : "does not"));
      const std::string job = absl::StrCat("crash-", arrives ? "a" : "b", writes);
      MakeJob(job);
      {
        DyingTransport dying(*transport_, writes, arrives);
        const Running first(dying, name_space_);
        Eventually([&] { return dying.dead() || IsWhole(job); });
      }
      {
        const Running second(*transport_, name_space_);
        EXPECT_TRUE(Eventually([&] { return IsWhole(job); }));
      }
      RemoveJob(job);
    }
  }
}

// What a new leader lists is as it was left, though a list's items lack what a watch's events have.
TEST_F(OnAServer, NewLeadersFindNothingToRepair) {
  MakeJob("kept");
  {
    const Running first(*transport_, name_space_);
    ASSERT_TRUE(Eventually([&] { return IsWhole("kept"); }));
  }
  for (int leader = 2; leader <= 3; ++leader) {
    const Running next(*transport_, name_space_);
    ASSERT_TRUE(
        Eventually([&] { return next.Scrape().find("reconcile_total{result=\"success\"} 0") == std::string::npos; }));
    SystemClock().SleepFor(std::chrono::milliseconds(500));
    EXPECT_THAT(next.Scrape(), testing::Not(testing::HasSubstr("verb=\"apply\""))) << "leader " << leader;
  }
}

TEST_F(OnAServer, WhatIsDeletedOrEditedWhileItIsDownComesBack) {
  MakeJob("edited");
  {
    const Running running(*transport_, name_space_);
    ASSERT_TRUE(Eventually([&] { return IsWhole("edited"); }));
  }
  ASSERT_TRUE(client_->Delete(kConfigMap, {name_space_, "edited-job"}).ok());
  ASSERT_TRUE(client_->Delete(kPod, {name_space_, "edited-worker-bank-0"}, {.grace_seconds = 0}).ok());
  ASSERT_TRUE(client_
                  ->MergePatch(kService, {name_space_, "edited-aggregator"},
                               {{"spec", {{"selector", {{"splitft.io/role", "worker"}}}}}})
                  .ok());
  const Running running(*transport_, name_space_);
  EXPECT_TRUE(Eventually([&] { return IsWhole("edited"); }));
  EXPECT_TRUE(Eventually([&] {
    const auto service = client_->Get(kService, {name_space_, "edited-aggregator"});
    return service.ok() && TextAt(*service, {"spec", "selector", "splitft.io/role"}) == "aggregator";
  }));
}

TEST_F(OnAServer, ANamesakeGetsChildrenOfItsOwn) {
  MakeJob("again");
  const Running running(*transport_, name_space_);
  ASSERT_TRUE(Eventually([&] { return IsWhole("again"); }));
  const std::string former(kube::UidOf(client_->Get(kFineTuneJob, {name_space_, "again"}).value()));
  ASSERT_TRUE(client_->Delete(kFineTuneJob, {name_space_, "again"}).ok());
  MakeJob("again");
  const auto owner = [&](const std::string& pod) {
    const auto object = client_->Get(kPod, {name_space_, pod});
    return object.ok() ? std::string(kube::ControllerUidOf(*object)) : "";
  };
  // Here nobody collects garbage: the test does it, and until then the operator must not touch the stranger's children.
  SystemClock().SleepFor(std::chrono::milliseconds(200));
  EXPECT_EQ(owner("again-aggregator-0"), former);
  for (const kube::ResourceType* type : {&kPod, &kConfigMap, &kService, &kServiceAccount, &kNetworkPolicy}) {
    for (const Json& object : Objects(*type)) {
      if (kube::ControllerUidOf(object) == former) {
        ASSERT_TRUE(client_->Delete(*type, kube::KeyOf(object), {.grace_seconds = 0}).ok());
      }
    }
  }
  EXPECT_TRUE(Eventually([&] { return IsWhole("again") && owner("again-aggregator-0") != former; }));
}

TEST_F(OnAServer, AnApiServerThatDiesIsWaitedFor) {
  MakeJob("before");
  const Running running(*transport_, name_space_);
  ASSERT_TRUE(Eventually([&] { return IsWhole("before"); }));
  ASSERT_TRUE(environment->server().Kill().ok());
  ASSERT_TRUE(environment->server().Restart().ok());
  ASSERT_TRUE(client_->Delete(kPod, {name_space_, "before-worker-bank-0"}, {.grace_seconds = 0}).ok());
  EXPECT_TRUE(Eventually([&] { return IsWhole("before"); }));
}

}  // namespace
}  // namespace splitft::controller
