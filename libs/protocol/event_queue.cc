#include "libs/protocol/event_queue.h"

#include <utility>

namespace splitft::protocol {

void EventQueue::Push(StreamEvent event) {
  {
    const MutexLock lock(mutex_);
    if (closed_) {
      return;
    }
    events_.push_back(std::move(event));
  }
  changed_.Signal();
}

absl::StatusOr<StreamEvent> EventQueue::Pop(TimePoint deadline) {
  const MutexLock lock(mutex_);
  while (events_.empty() && !closed_) {
    if (!changed_.WaitUntil(mutex_, deadline) && events_.empty() && !closed_) {
      return absl::DeadlineExceededError("no stream had anything to say before the deadline");
    }
  }
  if (closed_) {
    return absl::CancelledError("the server was shut down");
  }
  StreamEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void EventQueue::Close() {
  std::deque<StreamEvent> dropped;  // payloads are freed after the lock
  {
    const MutexLock lock(mutex_);
    closed_ = true;
    dropped.swap(events_);
  }
  changed_.SignalAll();
}

}  // namespace splitft::protocol
