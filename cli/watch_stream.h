#pragma once

#include <grpcpp/client_context.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "api/proto/control.grpc.pb.h"
#include "libs/base/file.h"
#include "libs/base/mutex.h"

namespace splitft::cli {

// The aggregator's events, read by a thread of its own, so that a poll() loop can take them. Holds a bounded number:
// when nobody takes them the oldest are dropped, never the last.
class WatchStream {
 public:
  static constexpr size_t kMostEvents = 4096;

  // Begins to watch the aggregator at `address` (HOST:PORT). Internal: no descriptor is to be had.
  static absl::StatusOr<std::unique_ptr<WatchStream>> Open(const std::string& address);
  // Cancels the call and waits for the thread.
  ~WatchStream();

  // Readable when events wait.
  int fd() const { return wakeup_.get(); }
  // The events since the last call, oldest first. Any thread.
  std::vector<control::JobEvent> Take() SPLITFT_EXCLUDES(mutex_);

 private:
  WatchStream(const std::string& address, UniqueFd wakeup);
  void Read(const std::string& address) SPLITFT_EXCLUDES(mutex_);
  void Put(control::JobEvent event) SPLITFT_EXCLUDES(mutex_);

  const UniqueFd wakeup_;  // an eventfd
  Mutex mutex_;
  // As long as the call: a context holds its channel, and a channel that nobody polls keeps the aggregator waiting when
  // it shuts down.
  std::optional<grpc::ClientContext> context_ SPLITFT_GUARDED_BY(mutex_);
  std::deque<control::JobEvent> events_ SPLITFT_GUARDED_BY(mutex_);
  std::thread reader_;  // last: it uses the others
};

}  // namespace splitft::cli
