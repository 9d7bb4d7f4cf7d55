#include "libs/protocol/loopback_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace splitft::protocol {
namespace {

using ::testing::HasSubstr;

constexpr TimePoint kPast = TimePoint::min();
TimePoint Soon() { return SystemClock().Now() + std::chrono::seconds(20); }

Frame NumberedFrame(uint64_t step) {
  Frame frame;
  frame.key.kind = FrameKind::kHiddenUp;
  frame.key.step = step;
  return frame;
}

std::unique_ptr<FrameStream> MustConnect(LoopbackNetwork& network, const std::string& peer = "bank") {
  absl::StatusOr<std::unique_ptr<FrameStream>> stream = network.Connect(peer);
  EXPECT_TRUE(stream.ok()) << stream.status();
  return *std::move(stream);
}

StreamEvent MustTake(FrameServer& server) {
  absl::StatusOr<StreamEvent> event = server.Next(Soon());
  EXPECT_TRUE(event.ok()) << event.status();
  return *std::move(event);
}

TEST(LoopbackNetwork, CarriesFramesBothWaysInOrderWithoutCopying) {
  LoopbackNetwork network;
  const std::unique_ptr<FrameStream> stream = MustConnect(network);
  const StreamEvent opened = MustTake(network.server());
  EXPECT_EQ(std::get<StreamOpened>(opened.what).peer, "bank");

  const auto bytes = std::make_shared<std::array<std::byte, 64>>();
  Frame first = NumberedFrame(1);
  first.payload = Payload(bytes, *bytes);
  ASSERT_TRUE(stream->Send(std::move(first), Soon()).ok());
  ASSERT_TRUE(stream->Send(NumberedFrame(2), Soon()).ok());
  const StreamEvent one = MustTake(network.server());
  EXPECT_EQ(std::get<Frame>(one.what).key.step, 1u);
  EXPECT_EQ(std::get<Frame>(one.what).payload.bytes().data(), bytes->data());
  EXPECT_EQ(std::get<Frame>(MustTake(network.server()).what).key.step, 2u);

  ASSERT_TRUE(network.server().Send(opened.stream, NumberedFrame(7)).ok());
  ASSERT_TRUE(network.server().Send(opened.stream, NumberedFrame(8)).ok());
  EXPECT_EQ(stream->Receive(Soon())->key.step, 7u);
  EXPECT_EQ(stream->Receive(Soon())->key.step, 8u);
}

TEST(LoopbackNetwork, WaitsEndAtTheirDeadline) {
  LoopbackNetwork network({.up_frames = 1});
  const std::unique_ptr<FrameStream> stream = MustConnect(network);
  EXPECT_EQ(stream->Receive(kPast).status().code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(stream->Send(NumberedFrame(1), kPast).ok());
  EXPECT_EQ(stream->Send(NumberedFrame(2), kPast).code(), absl::StatusCode::kDeadlineExceeded);
  MustTake(network.server());
  MustTake(network.server());
  EXPECT_EQ(network.server().Next(kPast).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(stream->Send(NumberedFrame(2), kPast).ok());  // room again
}

TEST(LoopbackNetwork, SendWaitsUntilTheServerTakes) {
  LoopbackNetwork network({.up_frames = 2});
  const std::unique_ptr<FrameStream> stream = MustConnect(network);
  std::jthread sender([&] {
    for (uint64_t step = 0; step < 1000; ++step) {
      ASSERT_TRUE(stream->Send(NumberedFrame(step), Soon()).ok());
    }
  });
  MustTake(network.server());
  for (uint64_t step = 0; step < 1000; ++step) {
    EXPECT_EQ(std::get<Frame>(MustTake(network.server()).what).key.step, step);
  }
}

TEST(LoopbackNetwork, AClientThatDoesNotReadFillsItsQueueOnly) {
  LoopbackNetwork network({.down_frames = 2});
  const std::unique_ptr<FrameStream> deaf = MustConnect(network, "deaf");
  const std::unique_ptr<FrameStream> fine = MustConnect(network, "fine");
  const StreamId deaf_id = MustTake(network.server()).stream;
  const StreamId fine_id = MustTake(network.server()).stream;
  EXPECT_TRUE(network.server().Send(deaf_id, NumberedFrame(1)).ok());
  EXPECT_TRUE(network.server().Send(deaf_id, NumberedFrame(2)).ok());
  EXPECT_EQ(network.server().Send(deaf_id, NumberedFrame(3)).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(network.server().Send(fine_id, NumberedFrame(1)).ok());
}

TEST(LoopbackNetwork, ClientCloseReachesTheServerAfterItsFrames) {
  LoopbackNetwork network;
  const std::unique_ptr<FrameStream> stream = MustConnect(network);
  const StreamId id = MustTake(network.server()).stream;
  ASSERT_TRUE(stream->Send(NumberedFrame(1), Soon()).ok());
  stream->Close();
  stream->Close();
  EXPECT_EQ(stream->Send(NumberedFrame(2), Soon()).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(stream->Receive(Soon()).status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(std::holds_alternative<Frame>(MustTake(network.server()).what));
  EXPECT_TRUE(std::get<StreamClosed>(MustTake(network.server()).what).status.ok());
  EXPECT_EQ(network.server().Send(id, NumberedFrame(1)).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(network.server().Next(kPast).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(LoopbackNetwork, ServerCloseReachesTheClientAfterQueuedFramesWithItsReason) {
  LoopbackNetwork network;
  const std::unique_ptr<FrameStream> stream = MustConnect(network);
  const StreamId id = MustTake(network.server()).stream;
  ASSERT_TRUE(network.server().Send(id, NumberedFrame(1)).ok());
  network.server().Close(id, absl::PermissionDeniedError("not of this job"));
  EXPECT_EQ(network.server().Send(id, NumberedFrame(2)).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(stream->Receive(Soon())->key.step, 1u);
  const absl::Status status = stream->Receive(Soon()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not of this job"));
  EXPECT_EQ(stream->Send(NumberedFrame(1), Soon()).code(), absl::StatusCode::kPermissionDenied);
  stream->Close();
  EXPECT_EQ(stream->Receive(Soon()).status().code(), absl::StatusCode::kCancelled);
}

TEST(LoopbackNetwork, ShutdownWakesEverybody) {
  LoopbackNetwork network({.up_frames = 1});
  const std::unique_ptr<FrameStream> reader = MustConnect(network, "reader");
  const std::unique_ptr<FrameStream> writer = MustConnect(network, "writer");
  ASSERT_TRUE(writer->Send(NumberedFrame(1), Soon()).ok());
  std::vector<std::jthread> waiting;
  waiting.emplace_back([&] { EXPECT_EQ(reader->Receive(Soon()).status().code(), absl::StatusCode::kUnavailable); });
  waiting.emplace_back(
      [&] { EXPECT_EQ(writer->Send(NumberedFrame(2), Soon()).code(), absl::StatusCode::kUnavailable); });
  network.server().Shutdown(Soon());
  waiting.clear();
  EXPECT_EQ(network.server().Next(Soon()).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(network.Connect("late").status().code(), absl::StatusCode::kUnavailable);
}

TEST(LoopbackNetwork, StreamsOutliveTheNetwork) {
  std::unique_ptr<FrameStream> stream;
  {
    LoopbackNetwork network;
    stream = MustConnect(network);
  }
  EXPECT_EQ(stream->Send(NumberedFrame(1), Soon()).code(), absl::StatusCode::kUnavailable);
}

TEST(LoopbackNetwork, BoundsTheNumberOfStreams) {
  LoopbackNetwork network({.max_streams = 1});
  std::unique_ptr<FrameStream> first = MustConnect(network);
  EXPECT_EQ(network.Connect("second").status().code(), absl::StatusCode::kResourceExhausted);
  first.reset();
  MustTake(network.server());  // opened
  MustTake(network.server());  // closed
  EXPECT_TRUE(network.Connect("second").ok());
}

}  // namespace
}  // namespace splitft::protocol
