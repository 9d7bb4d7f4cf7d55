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
  // Calls `action` at `time`, on Run's thread, between the others.
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
    std::jthread thread;
  };
  static constexpr size_t kScheduler = static_cast<size_t>(-1);

  void RunActor(size_t index);
  // Gives the turn to `next` and waits until it is `self`'s again.
  void HandOver(size_t self, size_t next) SPLITFT_REQUIRES(mutex_);
  bool Runnable(const Actor& actor) const SPLITFT_REQUIRES(mutex_);
  void Abort() SPLITFT_EXCLUDES(mutex_);
  bool RunOneActor() SPLITFT_EXCLUDES(mutex_);
  bool AdvanceTime() SPLITFT_EXCLUDES(mutex_);
  std::string Waits() const SPLITFT_EXCLUDES(mutex_);

  const RandomStream random_;
  uint64_t draws_ = 0;

  mutable Mutex mutex_;
  mutable CondVar turn_changed_;
  size_t turn_ SPLITFT_GUARDED_BY(mutex_) = kScheduler;
  TimePoint now_ SPLITFT_GUARDED_BY(mutex_);
  bool aborted_ SPLITFT_GUARDED_BY(mutex_) = false;
  bool abandoned_ SPLITFT_GUARDED_BY(mutex_) = false;  // Run was never called
  uint64_t scheduled_ SPLITFT_GUARDED_BY(mutex_) = 0;
  std::map<std::pair<TimePoint, uint64_t>, std::function<void()>> actions_ SPLITFT_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Actor>> actors_;  // changes only before Run
};

}  // namespace splitft
