#pragma once

#include <condition_variable>
#include <mutex>

#include "libs/base/clock.h"
#include "libs/base/thread_annotations.h"

namespace splitft {

// std::mutex with Clang's annotations. Not absl::Mutex: ThreadSanitizer knows pthread's locks, but not those of a
// system library that was built without it.
class SPLITFT_CAPABILITY("mutex") Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() SPLITFT_ACQUIRE() { mutex_.lock(); }
  void Unlock() SPLITFT_RELEASE() { mutex_.unlock(); }
  // Tells the analysis, where it cannot see so, that the caller holds the lock. Checks nothing.
  void AssertHeld() const SPLITFT_ASSERTS() {}

 private:
  friend class CondVar;
  std::mutex mutex_;
};

// Holds a Mutex for its own life.
class SPLITFT_SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) SPLITFT_ACQUIRE(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() SPLITFT_RELEASE() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// A condition variable for Mutex. Wakes without cause, as all do: wait in a loop around the condition.
class CondVar {
 public:
  // Releases `mutex`, waits for a signal or for `deadline` on the machine's monotonic clock, and locks again.
  // False: the deadline has passed.
  bool WaitUntil(Mutex& mutex, TimePoint deadline) SPLITFT_REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    const bool signalled = condition_.wait_until(lock, deadline) == std::cv_status::no_timeout;
    lock.release();
    return signalled;
  }
  void Signal() { condition_.notify_one(); }
  void SignalAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace splitft
