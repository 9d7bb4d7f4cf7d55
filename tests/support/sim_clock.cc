#include "tests/support/sim_clock.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace splitft {
namespace {

// Which of a clock's threads the calling one is. A thread belongs to one clock for all its life.
thread_local size_t this_actor = static_cast<size_t>(-1);

}  // namespace

SimClock::SimClock(uint64_t seed) : random_({.seed = seed, .purpose = RandomPurpose::kSampling}) {}

SimClock::~SimClock() {
  {
    const MutexLock lock(mutex_);
    abandoned_ = true;
  }
  turn_changed_.SignalAll();
}

TimePoint SimClock::Now() const {
  const MutexLock lock(mutex_);
  return now_;
}

std::chrono::milliseconds SimClock::WallTime() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Now().time_since_epoch());
}

void SimClock::SleepFor(Duration duration) const {
  const_cast<SimClock*>(this)->WaitUntil(Now() + duration, "time to pass", [] { return false; });
}

void SimClock::Spawn(std::string name, std::function<void()> body) {
  auto actor = std::make_unique<Actor>();
  actor->name = std::move(name);
  actor->body = std::move(body);
  actors_.push_back(std::move(actor));
  const size_t index = actors_.size() - 1;
  actors_.back()->thread = std::jthread([this, index] { RunActor(index); });
}

void SimClock::At(TimePoint time, std::function<void()> action) {
  const MutexLock lock(mutex_);
  actions_.emplace(std::make_pair(time, ++scheduled_), std::move(action));
}

bool SimClock::WaitUntil(TimePoint deadline, std::string what, std::function<bool()> ready) {
  const size_t self = this_actor;
  Actor& actor = *actors_[self];
  if (ready()) {
    return true;
  }
  const MutexLock lock(mutex_);
  actor.deadline = deadline;
  actor.what = std::move(what);
  actor.ready = std::move(ready);
  actor.waits = true;
  HandOver(self, kScheduler);
  actor.waits = false;
  return !aborted_ && actor.ready();
}

absl::Status SimClock::Run(int64_t max_turns) {
  absl::Status status;
  for (int64_t turn = 0;; ++turn) {
    if (turn == max_turns && status.ok()) {
      status = absl::AbortedError(absl::StrCat("not over after ", max_turns, " turns: ", Waits()));
      Abort();
    }
    if (RunOneActor() || AdvanceTime()) {
      continue;
    }
    const std::string waits = Waits();
    if (waits.empty()) {
      return status;
    }
    if (status.ok()) {
      status = absl::AbortedError(absl::StrCat("stuck: ", waits));
    }
    Abort();
  }
}

void SimClock::Abort() {
  const MutexLock lock(mutex_);
  aborted_ = true;
  now_ += std::chrono::hours(24 * 365 * 100);
}

void SimClock::RunActor(size_t index) {
  this_actor = index;
  {
    const MutexLock lock(mutex_);
    while (turn_ != index && !abandoned_) {
      turn_changed_.WaitUntil(mutex_, TimePoint::max());
    }
    if (turn_ != index) {
      return;
    }
  }
  actors_[index]->body();
  const MutexLock lock(mutex_);
  actors_[index]->ended = true;
  turn_ = kScheduler;
  turn_changed_.SignalAll();
}

void SimClock::HandOver(size_t self, size_t next) {
  turn_ = next;
  turn_changed_.SignalAll();
  while (turn_ != self) {
    turn_changed_.WaitUntil(mutex_, TimePoint::max());
  }
}

bool SimClock::Runnable(const Actor& actor) const {
  return !actor.ended && (!actor.waits || aborted_ || actor.deadline <= now_ || actor.ready());
}

bool SimClock::RunOneActor() {
  const MutexLock lock(mutex_);
  std::vector<size_t> runnable;
  for (size_t i = 0; i < actors_.size(); ++i) {
    if (Runnable(*actors_[i])) {
      runnable.push_back(i);
    }
  }
  if (runnable.empty()) {
    return false;
  }
  HandOver(kScheduler, runnable[random_.Below(draws_++, runnable.size())]);
  return true;
}

// To the next action, which is done, or to the next deadline of a thread.
bool SimClock::AdvanceTime() {
  std::function<void()> action;
  {
    const MutexLock lock(mutex_);
    TimePoint next = TimePoint::max();
    for (const std::unique_ptr<Actor>& actor : actors_) {
      next = actor->ended ? next : std::min(next, actor->deadline);
    }
    if (!actions_.empty() && actions_.begin()->first.first <= next) {
      now_ = std::max(now_, actions_.begin()->first.first);
      action = std::move(actions_.begin()->second);
      actions_.erase(actions_.begin());
    } else if (next != TimePoint::max()) {
      now_ = std::max(now_, next);
    } else {
      return false;
    }
  }
  if (action) {
    action();
  }
  return true;
}

std::string SimClock::Waits() const {
  const MutexLock lock(mutex_);
  std::string text;
  for (const std::unique_ptr<Actor>& actor : actors_) {
    if (!actor->ended) {
      absl::StrAppend(&text, text.empty() ? "" : "; ", actor->name, " waits for ", actor->what);
    }
  }
  return text;
}

}  // namespace splitft
