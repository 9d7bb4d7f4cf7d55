#pragma once

#include <set>

#include "api/proto/control.grpc.pb.h"
#include "libs/base/mutex.h"
#include "libs/base/thread_annotations.h"

namespace splitft::aggregator {

// Serves splitft.control.Control: every watcher gets the job as it stands, then what changes; one that reads slowly
// misses steps in between, never the last event. Thread-safe; outlives the server it is registered with.
class ControlService final : public control::Control::CallbackService {
 public:
  // Makes `event` what the job is now.
  void Publish(const control::JobEvent& event) SPLITFT_EXCLUDES(mutex_);

  grpc::ServerWriteReactor<control::JobEvent>* Watch(grpc::CallbackServerContext* context,
                                                     const control::WatchRequest* request) override;

 private:
  class Watcher;

  Mutex mutex_;
  control::JobEvent event_ SPLITFT_GUARDED_BY(mutex_);
  uint64_t version_ SPLITFT_GUARDED_BY(mutex_) = 0;
  std::set<Watcher*> watchers_ SPLITFT_GUARDED_BY(mutex_);
};

}  // namespace splitft::aggregator
