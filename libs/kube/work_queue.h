#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/kube/backoff.h"
#include "libs/kube/object.h"

namespace splitft::kube {

// Keys that wait to be worked on, each at most once, and never by two workers at a time: a key that is added while it
// is worked on comes again afterwards. First come, first served. Thread-safe.
class WorkQueue {
 public:
  struct Options {
    Backoff::Options backoff{.first = std::chrono::milliseconds(50), .most = std::chrono::minutes(2)};
    uint64_t seed = 0;
  };
  // `clock` outlives the queue.
  WorkQueue(const Clock& clock, Options options) : clock_(clock), options_(options) {}

  void Add(const ObjectKey& key) SPLITFT_EXCLUDES(mutex_);
  // Not before `delay` has passed. Of several such calls for a key the earliest counts.
  void AddAfter(const ObjectKey& key, Duration delay) SPLITFT_EXCLUDES(mutex_);
  // After a backoff that doubles with every failure of this key since Forget, and not before `at_least` has passed.
  void AddAfterFailure(const ObjectKey& key, Duration at_least = {}) SPLITFT_EXCLUDES(mutex_);
  // The key has succeeded, or is gone.
  void Forget(const ObjectKey& key) SPLITFT_EXCLUDES(mutex_);

  // The next key, which is the caller's until Done; `waited`, unless null, is how long it could have been taken.
  // Nothing: the queue was closed, or the deadline has passed.
  std::optional<ObjectKey> Take(TimePoint deadline, Duration* waited = nullptr) SPLITFT_EXCLUDES(mutex_);
  void Done(const ObjectKey& key) SPLITFT_EXCLUDES(mutex_);

  // Wakes everybody who waits; nothing is handed out any more.
  void Close() SPLITFT_EXCLUDES(mutex_);

  // Keys that could be taken now, and how long the first of them has waited since it could.
  size_t ready() const SPLITFT_EXCLUDES(mutex_);
  Duration longest_wait() const SPLITFT_EXCLUDES(mutex_);

  // Since the queue is there.
  struct Counts {
    uint64_t adds = 0;     // keys that came to be ready; not those that were already
    uint64_t retries = 0;  // AddAfterFailure
  };
  Counts counts() const SPLITFT_EXCLUDES(mutex_);

 private:
  struct Ready {
    TimePoint since{};
  };

  void MakeReadyLocked(const ObjectKey& key, TimePoint since) SPLITFT_REQUIRES(mutex_);
  void PromoteLocked(TimePoint now) SPLITFT_REQUIRES(mutex_);
  void PassOnLocked() SPLITFT_REQUIRES(mutex_);
  void DelayLocked(const ObjectKey& key, TimePoint when) SPLITFT_REQUIRES(mutex_);

  const Clock& clock_;
  const Options options_;
  mutable Mutex mutex_;
  CondVar changed_;  // signalled once for each key that came and each time that moved; Take passes it on
  uint64_t arrivals_ SPLITFT_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, ObjectKey> order_ SPLITFT_GUARDED_BY(mutex_);  // by arrival
  std::map<ObjectKey, Ready> ready_ SPLITFT_GUARDED_BY(mutex_);     // what is in order_
  std::set<ObjectKey> taken_ SPLITFT_GUARDED_BY(mutex_);
  std::set<ObjectKey> again_ SPLITFT_GUARDED_BY(mutex_);  // taken, and added meanwhile
  std::map<ObjectKey, TimePoint> delayed_ SPLITFT_GUARDED_BY(mutex_);
  std::set<std::pair<TimePoint, ObjectKey>> timeline_ SPLITFT_GUARDED_BY(mutex_);  // delayed_ by time
  std::map<ObjectKey, Backoff> failures_ SPLITFT_GUARDED_BY(mutex_);
  Counts counts_ SPLITFT_GUARDED_BY(mutex_);
  bool closed_ SPLITFT_GUARDED_BY(mutex_) = false;
};

}  // namespace splitft::kube
