#pragma once

#include <chrono>

namespace splitft {

using Duration = std::chrono::nanoseconds;
// A point on a monotonic scale; only differences mean anything.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

// The only source of time outside libs/base. Implementations are thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  // Monotonic time: for durations and deadlines.
  virtual TimePoint Now() const = 0;
  // Wall-clock time since the Unix epoch: for people and records, never for decisions.
  virtual std::chrono::milliseconds WallTime() const = 0;
  // Blocks the calling thread for `duration`.
  virtual void SleepFor(Duration duration) const = 0;
};

// The machine's clock. Lives as long as the program.
const Clock& SystemClock();

// `duration` in seconds, for reports and metrics.
inline double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace splitft
