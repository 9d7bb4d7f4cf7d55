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
  for (const std::unique_ptr<Actor>& actor : actors_) {
    actor->its_turn.SignalAll();
  }
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
  // The thread knows its own actor only: the others are still being added.
  actor->thread = std::jthread([this, &self = *actor, index = actors_.size()] { RunActor(self, index); });
  actors_.push_back(std::move(actor));
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
  GiveTurn(PickNext());
  while (turn_ != self) {
    actor.its_turn.WaitUntil(mutex_, TimePoint::max());
  }
  actor.waits = false;
  return aborted_.ok() && actor.ready();
}

absl::Status SimClock::Run(int64_t max_turns) {
  const MutexLock lock(mutex_);
  turns_left_ = max_turns;
  GiveTurn(PickNext());
  while (turn_ != kScheduler) {
    schedulers_turn_.WaitUntil(mutex_, TimePoint::max());
  }
  return aborted_;
}

void SimClock::RunActor(Actor& actor, size_t index) {
  this_actor = index;
  {
    const MutexLock lock(mutex_);
    while (turn_ != index && !abandoned_) {
      actor.its_turn.WaitUntil(mutex_, TimePoint::max());
    }
    if (turn_ != index) {
      return;
    }
  }
  actor.body();
  const MutexLock lock(mutex_);
  actor.ended = true;
  GiveTurn(PickNext());
}

void SimClock::GiveTurn(size_t next) {
  turn_ = next;
  (next == kScheduler ? schedulers_turn_ : actors_[next]->its_turn).SignalAll();
}

// Called by whoever has the turn, so that a thread that goes on itself costs no switch.
size_t SimClock::PickNext() {
  for (;;) {
    if (turns_left_-- == 0 && aborted_.ok()) {
      Abort("not over after all turns");
    }
    std::vector<size_t> runnable;
    bool ended = true;
    for (size_t i = 0; i < actors_.size(); ++i) {
      ended = ended && actors_[i]->ended;
      if (Runnable(*actors_[i])) {
        runnable.push_back(i);
      }
    }
    if (!runnable.empty()) {
      return runnable[random_.Below(draws_++, runnable.size())];
    }
    if (ended) {
      return kScheduler;
    }
    if (!AdvanceTime()) {
      Abort("stuck");
    }
  }
}

bool SimClock::Runnable(const Actor& actor) const {
  return !actor.ended && (!actor.waits || !aborted_.ok() || actor.deadline <= now_ || actor.ready());
}

// To the next action, which is done, or to the next deadline of a thread. False: there is neither.
bool SimClock::AdvanceTime() {
  TimePoint next = TimePoint::max();
  for (const std::unique_ptr<Actor>& actor : actors_) {
    next = actor->ended ? next : std::min(next, actor->deadline);
  }
  if (!actions_.empty() && actions_.begin()->first.first <= next) {
    now_ = std::max(now_, actions_.begin()->first.first);
    const std::function<void()> action = std::move(actions_.begin()->second);
    actions_.erase(actions_.begin());
    mutex_.Unlock();  // everybody else waits for a turn
    action();
    mutex_.Lock();
    return true;
  }
  now_ = next == TimePoint::max() ? now_ : std::max(now_, next);
  return next != TimePoint::max();
}

void SimClock::Abort(const std::string& reason) {
  std::string waits;
  for (const std::unique_ptr<Actor>& actor : actors_) {
    if (!actor->ended) {
      absl::StrAppend(&waits, "; ", actor->name, " waits for ", actor->what);
    }
  }
  aborted_ = absl::AbortedError(absl::StrCat(reason, waits));
  now_ += std::chrono::hours(24 * 365 * 100);
}

}  // namespace splitft
