#pragma once

#include <map>
#include <string>
#include <vector>

#include "operator/decide/decide.h"
#include "operator/desired/names.h"

namespace splitft::controller {

// A cluster with one job in it, as values: carries out plans and shows what is there. What Kubernetes does by itself
// (pods that start, end, or are deleted) is done by the test. Not thread-safe.
class OperatorCluster {
 public:
  explicit OperatorCluster(const std::string& manifest);

  // What the operator would see now.
  JobSnapshot Snapshot() const;
  // Decides and carries out everything; stops after `writes` of them where it is not negative, as a crash would.
  Plan Reconcile(int writes = -1);
  // Reconciles until nothing more is to be done.
  void Settle();

  void Advance(std::chrono::milliseconds time) { now_ += time; }
  WallTime now() const { return now_; }

  std::vector<PodView>& pods() { return pods_; }
  // The newest pod of a member, or null.
  PodView* Pod(const Member& member);
  PodView* Worker(const std::string& client) { return Pod({spec::Role::kWorker, client}); }
  PodView* Aggregator() { return Pod({spec::Role::kAggregator, ""}); }
  static void Run(PodView* pod);
  void Fail(PodView* pod, int exit_code, const std::string& reason = "Error", const std::string& message = "");
  // It is gone at once, as after its grace.
  void Remove(const std::string& name);
  // All pods run, and the aggregator says that it trains at `step`.
  void Train(int64_t step);
  void set_progress(std::optional<ProgressView> progress) { progress_ = std::move(progress); }
  // Another operator leads from now on, and has heard nothing yet.
  void ChangeLeader() {
    progress_.reset();
    listening_since_ = now_;
  }
  std::map<std::string, std::shared_ptr<const Json>>& children() { return children_; }

  const Json& status() const { return status_; }
  std::string state() const { return status_.is_object() ? status_.value("state", "") : ""; }
  // reason of the condition `type`; empty where it is not True.
  std::string ReasonOf(const std::string& type) const;
  bool deleted() const { return deleted_; }
  // Sets a field of the spec, as `kubectl patch` does: lifecycle only.
  spec::FineTuneJob& job() { return job_; }
  const std::vector<Notice>& notices() const { return notices_; }

 private:
  spec::FineTuneJob job_;
  WallTime now_{std::chrono::hours(24 * 365 * 50)};
  std::vector<PodView> pods_;
  std::map<std::string, std::shared_ptr<const Json>> children_;
  std::optional<ProgressView> progress_;
  std::optional<WallTime> listening_since_;
  Json status_;
  std::vector<Notice> notices_;
  bool deleted_ = false;
  int made_ = 0;
};

}  // namespace splitft::controller
