#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/base/random.h"

namespace splitft {

// Simulated time and the threads that live in it. Threads started with Spawn run one at a time, and hand over only
// where they wait on this clock; time passes only when all of them wait. So a run is a function of its seed, and takes
// no real time.
//
// Spawned threads may use Now, WallTime, SleepFor and WaitUntil; they must not wait for one another in any other way.
class SimClock final : public Clock {
 public:
  // `seed` chooses who goes on when several could.
  explicit SimClock(uint64_t seed);
  // Joins the threads; they have ended when Run has returned, and never begin where it was not called.
  ~SimClock() override;

  TimePoint Now() const override SPLITFT_EXCLUDES(mutex_);
  std::chrono::milliseconds WallTime() const override;
  // Of a spawned thread.
  void SleepFor(Duration duration) const override;

  // A thread that begins when Run does. `name` is for messages.
  void Spawn(std::string name, std::function<void()> body);
  // Calls `action` at `time`, between the threads' turns.
  void At(TimePoint time, std::function<void()> action) SPLITFT_EXCLUDES(mutex_);
  // Waits, in a spawned thread, until `ready` says so. False: `deadline` came first. `ready` is called by any of the
  // threads.
  bool WaitUntil(TimePoint deadline, std::string what, std::function<bool()> ready) SPLITFT_EXCLUDES(mutex_);

  // Runs everything to its end. Aborted: all threads wait for what never comes, or `max_turns` were not enough; the
  // message says who waits for what. Their waits then end as if every deadline had passed.
  absl::Status Run(int64_t max_turns = 1'000'000);

 private:
  struct Actor {
    std::string name;
    std::function<void()> body;
    bool ended = false;
    bool waits = false;
    TimePoint deadline;
    std::string what;
    std::function<bool()> ready;
    CondVar its_turn;
    std::jthread thread;
  };
  static constexpr size_t kScheduler = static_cast<size_t>(-1);

  void RunActor(Actor& actor, size_t index);
  // Whose turn it is next, after time has passed where it must: kScheduler when all have ended.
  size_t PickNext() SPLITFT_REQUIRES(mutex_);
  void GiveTurn(size_t next) SPLITFT_REQUIRES(mutex_);
  bool Runnable(const Actor& actor) const SPLITFT_REQUIRES(mutex_);
  bool AdvanceTime() SPLITFT_REQUIRES(mutex_);
  void Abort(const std::string& reason) SPLITFT_REQUIRES(mutex_);

  const RandomStream random_;

  mutable Mutex mutex_;
  CondVar schedulers_turn_;
  size_t turn_ SPLITFT_GUARDED_BY(mutex_) = kScheduler;
  TimePoint now_ SPLITFT_GUARDED_BY(mutex_);
  uint64_t draws_ SPLITFT_GUARDED_BY(mutex_) = 0;
  int64_t turns_left_ SPLITFT_GUARDED_BY(mutex_) = 0;
  absl::Status aborted_ SPLITFT_GUARDED_BY(mutex_);    // why, once it is so
  bool abandoned_ SPLITFT_GUARDED_BY(mutex_) = false;  // Run was never called
  uint64_t scheduled_ SPLITFT_GUARDED_BY(mutex_) = 0;
  std::map<std::pair<TimePoint, uint64_t>, std::function<void()>> actions_ SPLITFT_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Actor>> actors_;  // changes only before Run
};

}  // namespace splitft
