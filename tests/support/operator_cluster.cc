#include "tests/support/operator_cluster.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/spec/parse.h"
#include "operator/decide/outcome.h"
#include "operator/desired/children.h"

namespace splitft::controller {

OperatorCluster::OperatorCluster(const std::string& manifest)
    : job_(spec::ParseJob(manifest, {.base_directory = "/", .overrides = {}}).value()) {}

JobSnapshot OperatorCluster::Snapshot() const {
  return {.name = job_.name,
          .name_space = job_.name_space,
          .uid = "job-uid",
          .generation = 1,
          .job = std::make_shared<const absl::StatusOr<spec::FineTuneJob>>(job_),
          .status = status_,
          .pods = pods_,
          .children = children_,
          .progress = progress_,
          .listening_since = listening_since_,
          .now = now_,
          .settings = {.worker_image = "worker:1", .aggregator_image = "aggregator:1"}};
}

Plan OperatorCluster::Reconcile(int writes) {
  Plan plan = Decide(Snapshot());
  int left = writes < 0 ? 1 << 20 : writes;
  for (const PodDeletion& deletion : plan.delete_pods) {
    if (left-- <= 0) {
      return plan;
    }
    Remove(deletion.name);
  }
  for (const Json& object : plan.create) {
    if (left-- <= 0) {
      return plan;
    }
    if (object.at("kind") != "Pod") {
      children_[ChildKey(object)] = std::make_shared<const Json>(object);
      continue;
    }
    const Json& labels = object.at("metadata").at("labels");
    PodView pod{.name = object.at("metadata").value("name", ""), .uid = absl::StrCat("pod-", ++made_)};
    pod.role = labels.at(kRoleLabel) == "worker" ? spec::Role::kWorker : spec::Role::kAggregator;
    pod.client = labels.value(kClientLabel, "");
    static_cast<void>(absl::SimpleAtoi(labels.value(kIndexLabel, ""), &pod.index));
    pod.created = now_;
    pods_.push_back(pod);
  }
  for (const Json& object : plan.repair) {
    if (left-- <= 0) {
      return plan;
    }
    children_[ChildKey(object)] = std::make_shared<const Json>(object);
  }
  if (left-- <= 0) {
    return plan;
  }
  if (!plan.status.is_null() && !plan.status_can_wait) {
    status_ = plan.status;
  }
  deleted_ = deleted_ || plan.delete_job;
  notices_.insert(notices_.end(), plan.notices.begin(), plan.notices.end());
  return plan;
}

void OperatorCluster::Settle() {
  for (int i = 0; i < 20; ++i) {
    const Json before = status_;
    const Plan plan = Reconcile();
    if (plan.create.empty() && plan.repair.empty() && plan.delete_pods.empty() && status_ == before) {
      return;
    }
  }
}

PodView* OperatorCluster::Pod(const Member& member) {
  PodView* newest = nullptr;
  for (PodView& pod : pods_) {
    if (pod.role == member.role && pod.client == member.client && (newest == nullptr || pod.index > newest->index)) {
      newest = &pod;
    }
  }
  return newest;
}

void OperatorCluster::Run(PodView* pod) {
  pod->phase = PodPhase::kRunning;
  pod->ready = true;
  pod->reason.clear();
  pod->ip = "10.0.0.1";
}

void OperatorCluster::Fail(PodView* pod, int exit_code, const std::string& reason, const std::string& message) {
  pod->phase = PodPhase::kFailed;
  pod->ready = false;
  pod->exit_code = exit_code;
  pod->reason = reason;
  pod->message = message;
  pod->ended = now_;
}

void OperatorCluster::Remove(const std::string& name) {
  std::erase_if(pods_, [&](const PodView& pod) { return pod.name == name; });
}

void OperatorCluster::Train(int64_t step) {
  ProgressView progress{.phase = "TRAINING",
                        .step = step,
                        .total_steps = 100,
                        .loss = 2.5,
                        .step_seconds = 0.5,
                        .step_tokens = 1000,
                        .changed = now_};
  for (PodView& pod : pods_) {
    if (pod.phase == PodPhase::kPending) {
      Run(&pod);
    }
  }
  for (const spec::Client& client : job_.clients) {
    progress.clients.push_back(
        {.name = client.name, .connected = true, .cut_layer = client.cut_layer, .codec = "fp32"});
  }
  progress_ = progress;
}

std::string OperatorCluster::ReasonOf(const std::string& type) const {
  return IsConditionTrue(status_, type) ? FindCondition(status_, type)->value("reason", "") : "";
}

}  // namespace splitft::controller
