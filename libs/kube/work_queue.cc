#include "libs/kube/work_queue.h"

#include <algorithm>
#include <utility>

namespace splitft::kube {

void WorkQueue::Add(const ObjectKey& key) {
  {
    const MutexLock lock(mutex_);
    MakeReadyLocked(key, clock_.Now());
  }
  changed_.Signal();
}

void WorkQueue::AddAfter(const ObjectKey& key, Duration delay) {
  {
    const MutexLock lock(mutex_);
    const TimePoint now = clock_.Now();
    delay <= Duration::zero() ? MakeReadyLocked(key, now) : DelayLocked(key, now + delay);
  }
  changed_.Signal();
}

void WorkQueue::AddAfterFailure(const ObjectKey& key, Duration at_least) {
  {
    const MutexLock lock(mutex_);
    const uint64_t seed = options_.seed ^ HashName(key.text());
    Backoff& backoff = failures_.try_emplace(key, options_.backoff, seed).first->second;
    DelayLocked(key, clock_.Now() + std::max(backoff.Next(), at_least));
    ++counts_.retries;
  }
  changed_.Signal();
}

void WorkQueue::Forget(const ObjectKey& key) {
  const MutexLock lock(mutex_);
  failures_.erase(key);
}

std::optional<ObjectKey> WorkQueue::Take(TimePoint deadline, Duration* waited) {
  const MutexLock lock(mutex_);
  for (;;) {
    const TimePoint now = clock_.Now();
    if (closed_) {
      return std::nullopt;
    }
    PromoteLocked(now);
    if (!order_.empty()) {
      const auto first = order_.begin();
      ObjectKey key = std::move(first->second);
      order_.erase(first);
      if (waited != nullptr) {
        *waited = now - ready_.at(key).since;
      }
      ready_.erase(key);
      taken_.insert(key);
      PassOnLocked();
      return key;
    }
    if (now >= deadline) {
      PassOnLocked();
      return std::nullopt;
    }
    changed_.WaitUntil(mutex_, timeline_.empty() ? deadline : std::min(deadline, timeline_.begin()->first));
  }
}

void WorkQueue::Done(const ObjectKey& key) {
  {
    const MutexLock lock(mutex_);
    taken_.erase(key);
    if (again_.erase(key) > 0) {
      MakeReadyLocked(key, clock_.Now());
    }
  }
  changed_.Signal();
}

void WorkQueue::Close() {
  {
    const MutexLock lock(mutex_);
    closed_ = true;
  }
  changed_.SignalAll();
}

size_t WorkQueue::ready() const {
  const MutexLock lock(mutex_);
  const TimePoint now = clock_.Now();
  size_t count = order_.size();
  for (auto due = timeline_.begin(); due != timeline_.end() && due->first <= now; ++due) {
    count += taken_.contains(due->second) ? 0 : 1;
  }
  return count;
}

Duration WorkQueue::longest_wait() const {
  const MutexLock lock(mutex_);
  const TimePoint now = clock_.Now();
  TimePoint since = order_.empty() ? now : ready_.at(order_.begin()->second).since;
  for (auto due = timeline_.begin(); due != timeline_.end() && due->first < since; ++due) {
    if (!taken_.contains(due->second)) {
      since = due->first;
    }
  }
  return now - since;
}

WorkQueue::Counts WorkQueue::counts() const {
  const MutexLock lock(mutex_);
  return counts_;
}

// Whoever leaves Take may have been the only one who knew of the next key or time.
void WorkQueue::PassOnLocked() {
  if (!order_.empty() || !timeline_.empty()) {
    changed_.Signal();
  }
}

void WorkQueue::MakeReadyLocked(const ObjectKey& key, TimePoint since) {
  if (closed_) {
    return;
  }
  if (const auto delayed = delayed_.find(key); delayed != delayed_.end()) {
    timeline_.erase({delayed->second, key});
    delayed_.erase(delayed);
  }
  if (taken_.contains(key)) {
    again_.insert(key);
  } else if (ready_.try_emplace(key, Ready{since}).second) {
    order_.emplace(arrivals_++, key);
    ++counts_.adds;
  }
}

void WorkQueue::PromoteLocked(TimePoint now) {
  while (!timeline_.empty() && timeline_.begin()->first <= now) {
    const auto [when, key] = *timeline_.begin();
    MakeReadyLocked(key, when);
  }
}

void WorkQueue::DelayLocked(const ObjectKey& key, TimePoint when) {
  if (closed_ || ready_.contains(key)) {
    return;  // it comes sooner than that
  }
  const auto [delayed, is_new] = delayed_.try_emplace(key, when);
  if (!is_new) {
    if (delayed->second <= when) {
      return;
    }
    timeline_.erase({delayed->second, key});
    delayed->second = when;
  }
  timeline_.emplace(when, key);
}

}  // namespace splitft::kube
