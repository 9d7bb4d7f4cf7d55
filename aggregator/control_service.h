#pragma once

#include <set>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "api/proto/control.grpc.pb.h"

namespace splitft::aggregator {

// Serves splitft.control.Control: every watcher gets the job as it stands, then what changes; one that reads slowly
// misses steps in between, never the last event. Thread-safe; outlives the server it is registered with.
class ControlService final : public control::Control::CallbackService {
 public:
  // Makes `event` what the job is now.
  void Publish(const control::JobEvent& event) ABSL_LOCKS_EXCLUDED(mutex_);

  grpc::ServerWriteReactor<control::JobEvent>* Watch(grpc::CallbackServerContext* context,
                                                     const control::WatchRequest* request) override;

 private:
  class Watcher;

  absl::Mutex mutex_;
  control::JobEvent event_ ABSL_GUARDED_BY(mutex_);
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 0;
  std::set<Watcher*> watchers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace splitft::aggregator
