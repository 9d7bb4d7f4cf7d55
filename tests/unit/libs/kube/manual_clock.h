#pragma once

#include <atomic>
#include <chrono>

#include "libs/base/clock.h"

namespace splitft::kube {

// Time that passes only when it is told to, and while somebody sleeps. Thread-safe.
class ManualClock final : public Clock {
 public:
  TimePoint Now() const override { return TimePoint(Duration(now_.load())); }
  std::chrono::milliseconds WallTime() const override {
    return std::chrono::seconds(1'800'000'000) +
           std::chrono::duration_cast<std::chrono::milliseconds>(Now().time_since_epoch());
  }
  void SleepFor(Duration duration) const override { Advance(duration); }
  void Advance(Duration duration) const { now_ += duration.count(); }

 private:
  mutable std::atomic<Duration::rep> now_ = Duration(std::chrono::hours(1)).count();
};

}  // namespace splitft::kube
