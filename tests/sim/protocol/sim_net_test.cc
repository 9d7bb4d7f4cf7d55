#include "tests/support/sim_net.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace splitft {
namespace {

using protocol::Frame;
using protocol::FrameStream;
using protocol::StreamClosed;
using protocol::StreamEvent;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Frame NumberedFrame(uint64_t step) {
  Frame frame;
  frame.key.step = step;
  return frame;
}

// Steps of the frames that arrive at the server when one client sends `count` frames and closes.
std::vector<uint64_t> Arrivals(const SimNet::Options& options, uint64_t count) {
  SimClock clock(options.seed);
  SimNet net(options, clock);
  std::vector<uint64_t> arrived;
  clock.Spawn("client", [&] {
    const std::unique_ptr<FrameStream> stream = *net.Connect("bank");
    for (uint64_t step = 0; step < count; ++step) {
      EXPECT_TRUE(stream->Send(NumberedFrame(step), clock.Now() + std::chrono::seconds(10)).ok());
    }
  });
  clock.Spawn("server", [&] {
    for (;;) {
      absl::StatusOr<StreamEvent> event = net.server().Next(clock.Now() + std::chrono::seconds(10));
      ASSERT_TRUE(event.ok()) << event.status();
      if (const auto* frame = std::get_if<Frame>(&event->what)) {
        arrived.push_back(frame->key.step);
      }
      if (std::holds_alternative<StreamClosed>(event->what)) {
        return;
      }
    }
  });
  EXPECT_TRUE(clock.Run().ok());
  return arrived;
}

std::vector<uint64_t> UpTo(uint64_t count) {
  std::vector<uint64_t> numbers(count);
  for (uint64_t i = 0; i < count; ++i) {
    numbers[i] = i;
  }
  return numbers;
}

TEST(SimClock, TimePassesOnlyInSleep) {
  SimClock clock(1);
  std::vector<std::string> order;
  clock.Spawn("late", [&] {
    clock.SleepFor(std::chrono::hours(2));
    order.push_back("late");
  });
  clock.Spawn("early", [&] {
    clock.SleepFor(std::chrono::hours(1));
    order.push_back("early");
  });
  const TimePoint start = clock.Now();
  EXPECT_TRUE(clock.Run().ok());
  EXPECT_EQ(clock.Now() - start, std::chrono::hours(2));
  EXPECT_THAT(order, ElementsAre("early", "late"));
}

TEST(SimClock, NamesWhoIsStuck) {
  SimClock clock(1);
  clock.Spawn("bank", [&] { EXPECT_FALSE(clock.WaitUntil(TimePoint::max(), "a train", [] { return false; })); });
  const absl::Status status = clock.Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("bank waits for a train"));
}

TEST(SimClock, EndsWhatRunsForEver) {
  SimClock clock(1);
  clock.Spawn("busy", [&] {
    while (clock.Now() < TimePoint() + std::chrono::hours(24 * 365)) {
      clock.SleepFor(std::chrono::seconds(1));
    }
  });
  EXPECT_EQ(clock.Run(100).code(), absl::StatusCode::kAborted);
}

TEST(SimNet, KeepsAStreamsOrder) { EXPECT_EQ(Arrivals({.seed = 3}, 100), UpTo(100)); }

TEST(SimNet, ReordersAndDuplicatesButLosesNothing) {
  const std::vector<uint64_t> arrived = Arrivals({.seed = 3, .duplicate = 0.3, .reorder_streams = true}, 100);
  EXPECT_GT(arrived.size(), 110u);
  EXPECT_FALSE(std::is_sorted(arrived.begin(), arrived.end()));
  std::vector<uint64_t> once = arrived;
  std::sort(once.begin(), once.end());
  once.erase(std::unique(once.begin(), once.end()), once.end());
  EXPECT_EQ(once, UpTo(100));
}

TEST(SimNet, ReplaysBySeed) {
  const SimNet::Options options{.seed = 11, .duplicate = 0.3, .reorder_streams = true};
  EXPECT_EQ(Arrivals(options, 50), Arrivals(options, 50));
  SimNet::Options other = options;
  other.seed = 12;
  EXPECT_NE(Arrivals(options, 50), Arrivals(other, 50));
}

TEST(SimNet, CutsTheStreamOfTheNthSend) { EXPECT_EQ(Arrivals({.seed = 5, .cut_at_send = 4}, 10), UpTo(3)); }

}  // namespace
}  // namespace splitft
