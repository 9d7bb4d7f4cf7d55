#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/kube/client.h"
#include "libs/kube/event_recorder.h"
#include "libs/telemetry/log.h"
#include "operator/cluster_view.h"
#include "operator/decide/plan.h"
#include "operator/progress_hub.h"

namespace splitft::controller {

// One job from what is to what should be: observe, decide, apply, write its status once. Thread-safe for different
// jobs.
class Reconciler {
 public:
  struct Parts {  // all outlive the reconciler
    kube::Client& client;
    ClusterView& view;
    ProgressHub& progress;
    kube::EventRecorder& events;
    const Clock& clock;
    const telemetry::Log& log;
  };
  struct Options {
    OperatorSettings settings;
    uint64_t first_plan = 1;  // ProgressHub::Source
  };
  Reconciler(Parts parts, Options options) : parts_(parts), options_(std::move(options)) {}

  // When to look again; an error: try again later.
  absl::StatusOr<std::optional<Duration>> Reconcile(const kube::ObjectKey& job);

 private:
  // The snapshot's last parts: the time, the settings, and what the aggregator of the moment says.
  void Complete(const kube::ObjectKey& key, JobSnapshot* snapshot);
  absl::Status Apply(const kube::ObjectKey& key, const JobSnapshot& snapshot, const Plan& plan);
  absl::Status Create(const kube::ObjectKey& key, const JobSnapshot& snapshot, const Json& object);
  // Of what the server will not take, as long as nothing else changes: an event, and the job's status.
  absl::Status SayIfRefused(const kube::ObjectKey& key, const JobSnapshot& snapshot, const Plan& plan,
                            const absl::Status& error);
  // Writes the status where it is another. Figures alone wait until the last write is a few seconds old; returns for
  // how long.
  absl::StatusOr<Duration> WriteStatus(const kube::ObjectKey& key, const JobSnapshot& snapshot, const Json& status)
      SPLITFT_EXCLUDES(mutex_);
  void Tell(const kube::ObjectKey& key, const JobSnapshot& snapshot, const Plan& plan);

  const Parts parts_;
  const Options options_;
  Mutex mutex_;
  std::map<kube::ObjectKey, TimePoint> status_written_ SPLITFT_GUARDED_BY(mutex_);
};

}  // namespace splitft::controller
