#pragma once

#include <set>
#include <string>
#include <utility>

#include "api/proto/control.grpc.pb.h"
#include "libs/base/mutex.h"
#include "libs/base/thread_annotations.h"

namespace splitft::aggregator {

// Serves splitft.control.Control: every watcher gets the job as it stands, then what changes; one that reads slowly
// misses steps in between, never the last event. Thread-safe; outlives the server it is registered with.
class ControlService final : public control::Control::CallbackService {
 public:
  // Of which job it is, as WatchRequest has it; before the server starts.
  void set_job_uid(std::string uid) { job_uid_ = std::move(uid); }
  // Makes `event` what the job is now.
  void Publish(const control::JobEvent& event) SPLITFT_EXCLUDES(mutex_);

  grpc::ServerWriteReactor<control::JobEvent>* Watch(grpc::CallbackServerContext* context,
                                                     const control::WatchRequest* request) override;

 private:
  class Watcher;
  class Refusal;

  std::string job_uid_;
  Mutex mutex_;
  control::JobEvent event_ SPLITFT_GUARDED_BY(mutex_);
  uint64_t version_ SPLITFT_GUARDED_BY(mutex_) = 0;
  std::set<Watcher*> watchers_ SPLITFT_GUARDED_BY(mutex_);
};

}  // namespace splitft::aggregator
