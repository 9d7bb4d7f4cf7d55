#include "libs/base/clock.h"

#include <thread>

namespace splitft {
namespace {

class MachineClock final : public Clock {
 public:
  TimePoint Now() const override { return std::chrono::steady_clock::now(); }
  std::chrono::milliseconds WallTime() const override {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  }
  void SleepFor(Duration duration) const override { std::this_thread::sleep_for(duration); }
};

}  // namespace

const Clock& SystemClock() {
  static const MachineClock clock;
  return clock;
}

}  // namespace splitft
