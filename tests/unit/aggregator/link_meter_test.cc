#include "aggregator/link_meter.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

namespace splitft::aggregator {
namespace {

using protocol::FrameKind;

constexpr int64_t kRows = 512 * 768 * 4;
constexpr int64_t kAdapters = 147'456;

// A client behind a wire: steps as the coordinator would tell the meter of them.
class WiredClient {
 public:
  explicit WiredClient(const scheduler::Link& link) : link_(link) {}

  // One step with `rows` bytes of hidden state. `disturbance`: seconds that the wire takes longer, once.
  void Step(LinkMeter& meter, int64_t rows = kRows, double disturbance = 0) {
    meter.Begin();
    Exchange(meter, FrameKind::kStepBegin, kAdapters, FrameKind::kHiddenUp, rows, disturbance);
    Exchange(meter, FrameKind::kHiddenDown, rows, FrameKind::kGradientUp, rows, 0);
    Exchange(meter, FrameKind::kGradientDown, rows, FrameKind::kStepEnd, kAdapters, 0);
    meter.End();
  }

  void Exchange(LinkMeter& meter, FrameKind down, int64_t down_bytes, FrameKind up, int64_t up_bytes,
                double disturbance) {
    constexpr double kHeld = 0.25;
    meter.Sent({.kind = down}, down_bytes, now_);
    const auto take = [](int64_t bytes, double rate) { return rate > 0 ? static_cast<double>(bytes) / rate : 0; };
    const double seconds = take(down_bytes, link_.down_bytes_per_second) + take(up_bytes, link_.up_bytes_per_second) +
                           link_.round_trip_seconds + kHeld + disturbance;
    now_ += std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
    const auto bytes = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(up_bytes));
    protocol::Frame frame;
    frame.key.kind = up;
    frame.payload = protocol::Payload(bytes, *bytes);
    frame.held_seconds = kHeld;
    meter.Received(frame, now_);
  }

 private:
  const scheduler::Link link_;
  TimePoint now_{std::chrono::seconds(1000)};
};

void ExpectLink(const scheduler::Link& found, const scheduler::Link& expected, double tolerance) {
  EXPECT_NEAR(found.up_bytes_per_second, expected.up_bytes_per_second, tolerance * expected.up_bytes_per_second);
  EXPECT_NEAR(found.down_bytes_per_second, expected.down_bytes_per_second, tolerance * expected.down_bytes_per_second);
  EXPECT_NEAR(found.round_trip_seconds, expected.round_trip_seconds, 1e-6 + tolerance * expected.round_trip_seconds);
}

TEST(LinkMeter, TellsUpstreamDownstreamAndRoundTripApart) {
  for (const scheduler::Link& link :
       {scheduler::Link{2.5e6, 1.25e7, 0.02}, scheduler::Link{1.25e7, 6e5, 0.05}, scheduler::Link{6e5, 6e5, 0.001}}) {
    WiredClient client(link);
    LinkMeter meter;
    client.Step(meter);
    ExpectLink(meter.link(), link, 0.01);
  }
}

TEST(LinkMeter, FollowsALinkThatBecomesSlow) {
  LinkMeter meter;
  WiredClient before({.up_bytes_per_second = 1.25e7, .down_bytes_per_second = 1.25e7, .round_trip_seconds = 0.01});
  for (int i = 0; i < 20; ++i) {
    before.Step(meter);
  }
  const scheduler::Link slow = {
      .up_bytes_per_second = 6e5, .down_bytes_per_second = 1.25e7, .round_trip_seconds = 0.01};
  WiredClient after(slow);
  for (size_t i = 0; i < LinkMeter::kSteps; ++i) {
    after.Step(meter);
  }
  ExpectLink(meter.link(), slow, 0.01);
}

TEST(LinkMeter, MeasuresBatchesOfDifferentSizes) {
  const scheduler::Link link = {.up_bytes_per_second = 2.5e6, .down_bytes_per_second = 5e6, .round_trip_seconds = 0.02};
  LinkMeter meter;
  WiredClient client(link);
  for (int i = 1; i <= 6; ++i) {
    client.Step(meter, kRows * i / 6);
  }
  ExpectLink(meter.link(), link, 0.01);
}

TEST(LinkMeter, OfALinkTooFastToBeFeltSaysNoNumber) {
  LinkMeter meter;
  WiredClient client({.up_bytes_per_second = 0, .down_bytes_per_second = 0, .round_trip_seconds = 0});
  client.Step(meter);
  EXPECT_GT(1e-9, meter.link().round_trip_seconds);
  EXPECT_EQ(meter.link().up_bytes_per_second, 0);
}

TEST(LinkMeter, ExplainsWithoutATailWhatItCan) {
  const scheduler::Link link = {.up_bytes_per_second = 2.5e6, .down_bytes_per_second = 5e6, .round_trip_seconds = 0};
  LinkMeter meter;
  WiredClient client(link);
  meter.Begin();
  client.Exchange(meter, FrameKind::kStepBegin, kAdapters, FrameKind::kHiddenUp, kRows, 0);
  client.Exchange(meter, FrameKind::kGradientDown, kRows, FrameKind::kStepEnd, kAdapters, 0);
  meter.End();
  ExpectLink(meter.link(), link, 0.01);
}

// Two kinds of exchange cannot tell three unknowns apart: what they say must not jump.
TEST(LinkMeter, WithoutATailPutsTheRoundTripIntoTheBandwidths) {
  WiredClient client({.up_bytes_per_second = 2.5e6, .down_bytes_per_second = 2.5e6, .round_trip_seconds = 0.2});
  LinkMeter meter;
  for (int i = 0; i < 12; ++i) {
    const double disturbance = 0.03 * (i % 3);
    meter.Begin();
    client.Exchange(meter, FrameKind::kStepBegin, kAdapters, FrameKind::kHiddenUp, kRows, disturbance);
    client.Exchange(meter, FrameKind::kGradientDown, kRows, FrameKind::kStepEnd, kAdapters, 0);
    meter.End();
    EXPECT_NEAR(meter.link().up_bytes_per_second, 1.9e6, 0.2e6) << "step " << i;
    EXPECT_NEAR(meter.link().down_bytes_per_second, 1.9e6, 0.2e6) << "step " << i;
    EXPECT_EQ(meter.link().round_trip_seconds, 0);
  }
}

TEST(LinkMeter, LeavesOutWhatIsNoAnswer) {
  LinkMeter meter;
  meter.Begin();
  meter.Sent({.kind = FrameKind::kStepBegin}, kAdapters, TimePoint{});
  for (const double held :
       {0.0, -1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    protocol::Frame frame;
    frame.key.kind = FrameKind::kHiddenUp;
    frame.held_seconds = held;
    meter.Received(frame, TimePoint{} + std::chrono::seconds(1));
  }
  meter.End();
  EXPECT_EQ(meter.link(), scheduler::Link{});
}

// A client with several microbatches: it runs all forwards, then answers what comes, one after the other, on one
// processor; the aggregator is as fast as can be. Each way of the wire is first in, first out.
class PipelinedClient {
 public:
  PipelinedClient(const scheduler::Link& link, double compute) : link_(link), compute_(compute) {}

  // `late`: seconds that the aggregator is late to see one of the frames.
  void Step(LinkMeter& meter, int microbatches, int64_t rows, int64_t adapters, double late = 0) {
    meter.Begin();
    down_free_ = up_free_ = processor_free_ = now_;
    const double begun = Down(meter, FrameKind::kStepBegin, 0, adapters, now_);
    std::vector<double> there;
    for (int m = 0; m < microbatches; ++m) {
      there.push_back(Up(meter, FrameKind::kHiddenUp, m, rows, begun, begun, 0));
    }
    std::vector<double> backs;
    for (int m = 0; m < microbatches; ++m) {
      const double came = Down(meter, FrameKind::kHiddenDown, m, rows, there[m]);
      backs.push_back(Up(meter, FrameKind::kGradientUp, m, rows, came, came, m == 1 ? late : 0));
    }
    double last = 0;
    for (int m = 0; m < microbatches; ++m) {
      last = Down(meter, FrameKind::kGradientDown, m, rows, backs[m]);
      processor_free_ = std::max(processor_free_, last) + compute_;
    }
    now_ = Up(meter, FrameKind::kStepEnd, 0, adapters, last, processor_free_, 0) + 0.01;
    meter.End();
  }

 private:
  static double Take(int64_t bytes, double rate) { return rate > 0 ? static_cast<double>(bytes) / rate : 0; }
  static TimePoint At(double seconds) {
    return TimePoint{} + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(1000 + seconds));
  }
  // When the client has it.
  double Down(LinkMeter& meter, FrameKind kind, int microbatch, int64_t bytes, double when) {
    meter.Sent({.microbatch = static_cast<uint32_t>(microbatch), .kind = kind}, bytes, At(when));
    down_free_ = std::max(down_free_, when) + Take(bytes, link_.down_bytes_per_second);
    return down_free_ + link_.round_trip_seconds / 2;
  }
  // When the aggregator has it.
  double Up(LinkMeter& meter, FrameKind kind, int microbatch, int64_t bytes, double prompted, double ready,
            double late) {
    processor_free_ = std::max(processor_free_, ready) + compute_;
    up_free_ = std::max(up_free_, processor_free_) + Take(bytes, link_.up_bytes_per_second);
    const auto data = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(bytes));
    protocol::Frame frame;
    frame.key = {.microbatch = static_cast<uint32_t>(microbatch), .kind = kind};
    frame.payload = protocol::Payload(data, *data);
    frame.held_seconds = processor_free_ - prompted;
    const double arrived = up_free_ + link_.round_trip_seconds / 2;
    meter.Received(frame, At(arrived + late));
    return arrived;
  }

  const scheduler::Link link_;
  const double compute_;
  double now_ = 0;
  double down_free_ = 0;
  double up_free_ = 0;
  double processor_free_ = 0;
};

TEST(LinkMeter, SeesThroughQueues) {
  for (const scheduler::Link& link : {scheduler::Link{6e5, 6e5, 0}, scheduler::Link{2.5e6, 6e5, 0.01},
                                      scheduler::Link{6e5, 1.25e7, 0.02}, scheduler::Link{1.25e7, 1.25e7, 0.001}}) {
    for (const double compute : {0.0005, 0.01, 0.1}) {
      for (const int64_t adapters : {int64_t{20'480}, int64_t{122'880}}) {
        for (const int64_t rows : {int64_t{25'088}, int64_t{49'152}}) {
          LinkMeter meter;
          PipelinedClient client(link, compute);
          for (int i = 0; i < 3; ++i) {
            client.Step(meter, 4, rows, adapters);
            ExpectLink(meter.link(), link, 0.02);
          }
        }
      }
    }
  }
}

TEST(LinkMeter, IsNotMisledByAnAggregatorThatWasBusy) {
  const scheduler::Link link{6e5, 6e5, 0};
  LinkMeter meter;
  PipelinedClient client(link, 0.005);
  for (int i = 0; i < 8; ++i) {
    client.Step(meter, 4, 25'088, 20'480, i % 2 == 0 ? 0.09 : 0);
  }
  EXPECT_NEAR(meter.link().up_bytes_per_second, 6e5, 1e5);
  EXPECT_NEAR(meter.link().down_bytes_per_second, 6e5, 1e5);
  EXPECT_LT(meter.link().round_trip_seconds, 0.02);
}

}  // namespace
}  // namespace splitft::aggregator
