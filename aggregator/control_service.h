#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "api/proto/control.grpc.pb.h"
#include "libs/base/mutex.h"
#include "libs/base/thread_annotations.h"

namespace splitft::aggregator {

// Serves splitft.control.Control: every watcher gets the job as it stands, then what changes; one that reads slowly
// misses steps in between, never the last event. Thread-safe; outlives the server it is registered with.
class ControlService final : public control::Control::CallbackService {
 public:
  // What is asked of a plan before it is taken: CheckPlan.
  using PlanCheck = std::function<absl::Status(const control::Plan&)>;
  // Of which job it is, as WatchRequest has it (empty: whichever is asked for), and which plans it takes. Before the
  // server starts.
  void Describe(const std::string& job_uid, PlanCheck check);
  // Makes `event` what the job is now.
  void Publish(const control::JobEvent& event) SPLITFT_EXCLUDES(mutex_);

  grpc::ServerWriteReactor<control::JobEvent>* Watch(grpc::CallbackServerContext* context,
                                                     const control::WatchRequest* request) override;
  grpc::ServerUnaryReactor* Apply(grpc::CallbackServerContext* context, const control::Plan* plan,
                                  control::PlanAccepted* accepted) override;

  // The newest plan, once.
  std::optional<control::Plan> TakePlan() SPLITFT_EXCLUDES(mutex_);

 private:
  class Watcher;
  class Refusal;

  bool IsAnother(const std::string& job_uid) const { return !job_uid.empty() && job_uid != job_uid_; }
  absl::Status Offer(const control::Plan& plan) SPLITFT_EXCLUDES(mutex_);

  std::string job_uid_;
  PlanCheck check_;
  Mutex mutex_;
  std::optional<control::Plan> plan_ SPLITFT_GUARDED_BY(mutex_);  // not taken yet
  uint64_t last_plan_ SPLITFT_GUARDED_BY(mutex_) = 0;
  control::JobEvent event_ SPLITFT_GUARDED_BY(mutex_);
  uint64_t version_ SPLITFT_GUARDED_BY(mutex_) = 0;
  std::set<Watcher*> watchers_ SPLITFT_GUARDED_BY(mutex_);
};

}  // namespace splitft::aggregator
