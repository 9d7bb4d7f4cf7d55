#include "libs/kube/stoppable_wait.h"

#include <gtest/gtest.h>

#include <thread>

namespace splitft::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(WaitUnlessStopped, WaitsUntilItsDeadline) {
  const TimePoint start = SystemClock().Now();
  WaitUnlessStopped(start + milliseconds(10), std::stop_source().get_token());
  EXPECT_GE(SystemClock().Now() - start, milliseconds(10));
  WaitUnlessStopped(start, std::stop_source().get_token());  // in the past
}

TEST(WaitUnlessStopped, EndsWhenItIsStopped) {
  std::stop_source stop;
  std::jthread stopper([&] {
    SystemClock().SleepFor(milliseconds(5));
    stop.request_stop();
  });
  WaitUnlessStopped(TimePoint::max(), stop.get_token());
  WaitUnlessStopped(TimePoint::max(), stop.get_token());  // already stopped
}

TEST(WaitUnlessStopped, NeverMissesAStop) {
  for (int i = 0; i < 2000; ++i) {
    std::stop_source stop;
    std::jthread waiter([&] { WaitUnlessStopped(TimePoint::max(), stop.get_token()); });
    stop.request_stop();
  }
}

}  // namespace
}  // namespace splitft::kube
