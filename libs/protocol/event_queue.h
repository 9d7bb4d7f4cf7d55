#pragma once

#include <deque>

#include "absl/status/statusor.h"
#include "libs/base/mutex.h"
#include "libs/protocol/ports.h"

namespace splitft::protocol {

// What happened on a server's streams, in the order it happened. Thread-safe. It has no limit of its own: whoever
// pushes bounds what one stream may have in it, and bounds the streams.
class EventQueue {
 public:
  // Dropped once the queue is closed.
  void Push(StreamEvent event) SPLITFT_EXCLUDES(mutex_);
  // DeadlineExceeded; Cancelled once the queue is closed.
  absl::StatusOr<StreamEvent> Pop(TimePoint deadline) SPLITFT_EXCLUDES(mutex_);
  // Drops what is queued and wakes whoever waits. Idempotent.
  void Close() SPLITFT_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  CondVar changed_;
  std::deque<StreamEvent> events_ SPLITFT_GUARDED_BY(mutex_);
  bool closed_ SPLITFT_GUARDED_BY(mutex_) = false;
};

}  // namespace splitft::protocol
