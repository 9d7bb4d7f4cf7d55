#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "tests/integration/transport/grpc_test_server.h"

namespace splitft::transport {
namespace {

using protocol::Frame;
using protocol::FrameServer;
using protocol::FrameStream;
using protocol::StreamClosed;
using protocol::StreamEvent;
using protocol::StreamId;
using protocol::StreamOpened;
using ::testing::HasSubstr;

constexpr size_t kMib = 1 << 20;

// Sends every frame back until `streams` streams have closed.
void Echo(FrameServer& server, size_t streams) {
  for (size_t closed = 0; closed < streams;) {
    StreamEvent event = MustTake(server);
    if (auto* frame = std::get_if<Frame>(&event.what)) {
      EXPECT_TRUE(server.Send(event.stream, std::move(*frame)).ok());
    }
    if (const auto* end = std::get_if<StreamClosed>(&event.what)) {
      EXPECT_TRUE(end->status.ok()) << end->status;
      ++closed;
    }
  }
}

TEST(GrpcStream, CarriesFramesBothWays) {
  const std::unique_ptr<GrpcServer> server = MustStart();
  std::jthread echo([&] { Echo(*server, 1); });
  const std::unique_ptr<FrameStream> stream = MustConnect(server->address());
  for (const size_t bytes : {size_t{0}, size_t{4}, size_t{60}, size_t{100000}, 16 * kMib}) {
    const Frame frame = PatternFrame(bytes, bytes);
    ASSERT_TRUE(stream->Send(frame, Soon()).ok());
    const absl::StatusOr<Frame> back = stream->Receive(Soon());
    ASSERT_TRUE(back.ok()) << back.status();
    ExpectSameFrame(*back, frame);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(back->payload.bytes().data()) % kPayloadAlignment, 0u);
  }
  stream->Close();
}

TEST(GrpcStream, SixteenStreamsAtOnceEachInOrder) {
  constexpr size_t kStreams = 16;
  constexpr uint64_t kFrames = 20;
  const std::unique_ptr<GrpcServer> server = MustStart();
  std::jthread echo([&] { Echo(*server, kStreams); });
  std::vector<std::jthread> clients;
  for (size_t client = 0; client < kStreams; ++client) {
    clients.emplace_back([&, client] {
      const std::unique_ptr<FrameStream> stream = MustConnect(server->address());
      std::jthread sender([&] {
        for (uint64_t i = 0; i < kFrames; ++i) {
          EXPECT_TRUE(stream->Send(PatternFrame(client * kFrames + i, 256 << 10), Soon()).ok());
        }
      });
      for (uint64_t i = 0; i < kFrames; ++i) {
        const absl::StatusOr<Frame> back = stream->Receive(Soon());
        ASSERT_TRUE(back.ok()) << back.status();
        ExpectSameFrame(*back, PatternFrame(client * kFrames + i, 256 << 10));
      }
    });
  }
}

TEST(GrpcStream, WorksOverAUnixSocket) {
  const std::string address = "unix:" + ::testing::TempDir() + "/grpc_stream_test.sock";
  GrpcServerOptions options;
  options.address = address;
  const std::unique_ptr<GrpcServer> server = MustStart(options);
  EXPECT_EQ(server->address(), address);
  const std::unique_ptr<FrameStream> stream = MustConnect(address);
  ASSERT_TRUE(stream->Send(PatternFrame(1, 1000), Soon()).ok());
  MustTakeA<StreamOpened>(*server);
  ExpectSameFrame(MustTakeA<Frame>(*server), PatternFrame(1, 1000));
}

TEST(GrpcStream, SendingDoesNotCopyThePayload) {
  const std::unique_ptr<GrpcServer> server = MustStart();
  const std::unique_ptr<FrameStream> stream = MustConnect(server->address());
  Frame frame = PatternFrame(1, kMib);
  const std::weak_ptr<const void> owner = frame.payload.owner();
  ASSERT_TRUE(stream->Send(std::move(frame), Soon()).ok());
  MustTakeA<StreamOpened>(*server);
  MustTakeA<Frame>(*server);
  // It was kept alive until it was sent, and no longer.
  stream->Close();
  EXPECT_TRUE(MustTakeA<StreamClosed>(*server).status.ok());
  EXPECT_TRUE(owner.expired());
}

TEST(GrpcStream, ClosingDeliversWhatWasSentAndTellsNobodyOff) {
  const std::unique_ptr<GrpcServer> server = MustStart();
  std::unique_ptr<FrameStream> stream = MustConnect(server->address());
  for (uint64_t step = 0; step < 5; ++step) {
    ASSERT_TRUE(stream->Send(PatternFrame(step, kMib), Soon()).ok());
  }
  stream->Close();
  EXPECT_EQ(stream->Send(PatternFrame(9), Soon()).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(stream->Receive(Soon()).status().code(), absl::StatusCode::kCancelled);
  std::jthread destroyer([&] { stream.reset(); });  // lingers until its frames are away
  StreamId id = 0;
  MustTakeA<StreamOpened>(*server, &id);
  for (uint64_t step = 0; step < 5; ++step) {
    EXPECT_EQ(MustTakeA<Frame>(*server).key.step, step);
  }
  EXPECT_TRUE(MustTakeA<StreamClosed>(*server).status.ok());
  EXPECT_EQ(server->Send(id, PatternFrame(1)).code(), absl::StatusCode::kNotFound);
}

TEST(GrpcStream, TheServersReasonReachesTheClientAfterItsFrames) {
  const std::unique_ptr<GrpcServer> server = MustStart();
  const std::unique_ptr<FrameStream> stream = MustConnect(server->address());
  StreamId id = 0;
  MustTakeA<StreamOpened>(*server, &id);
  ASSERT_TRUE(server->Send(id, PatternFrame(1, kMib)).ok());
  server->Close(id, absl::PermissionDeniedError("client \"bank\" is not of this job"));
  EXPECT_EQ(server->Send(id, PatternFrame(2)).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(MustReceive(*stream).key.step, 1u);
  const absl::Status status = stream->Receive(Soon()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not of this job"));
  EXPECT_EQ(stream->Send(PatternFrame(3), Soon()).code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(MustTakeA<StreamClosed>(*server).status.code(), absl::StatusCode::kPermissionDenied);
}

TEST(GrpcStream, ARegularEndIsUnavailableToTheClient) {
  const std::unique_ptr<GrpcServer> server = MustStart();
  const std::unique_ptr<FrameStream> stream = MustConnect(server->address());
  StreamId id = 0;
  MustTakeA<StreamOpened>(*server, &id);
  server->Close(id, absl::OkStatus());
  EXPECT_EQ(stream->Receive(Soon()).status().code(), absl::StatusCode::kUnavailable);
}

TEST(GrpcStream, WaitsEndAtTheirDeadline) {
  const std::unique_ptr<GrpcServer> server = MustStart();
  const std::unique_ptr<FrameStream> stream = MustConnect(server->address());
  EXPECT_EQ(stream->Receive(In(std::chrono::milliseconds(10))).status().code(), absl::StatusCode::kDeadlineExceeded);
  MustTakeA<StreamOpened>(*server);
  EXPECT_EQ(server->Next(In(std::chrono::milliseconds(10))).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(GrpcStream, AServerThatDoesNotTakeHoldsTheClientBack) {
  GrpcServerOptions options;
  options.receive_queue = {.frames = 2, .bytes = 64 * kMib};
  const std::unique_ptr<GrpcServer> server = MustStart(options);
  GrpcStreamOptions client;
  client.send_queue = {.frames = 2, .bytes = 64 * kMib};
  const std::unique_ptr<FrameStream> stream = MustConnect(server->address(), client);
  absl::Status status;
  uint64_t sent = 0;
  // 2 frames queued here and 2 there, 1 being written and 1 being read, and what the sockets hold.
  while (status.ok() && sent < 64) {
    status = stream->Send(PatternFrame(sent, 8 * kMib), In(std::chrono::milliseconds(300)));
    sent += status.ok() ? 1 : 0;
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded) << status;
  EXPECT_LE(sent, 10u);
  MustTakeA<StreamOpened>(*server);
  for (uint64_t step = 0; step < sent; ++step) {
    EXPECT_EQ(MustTakeA<Frame>(*server).key.step, step);
  }
  EXPECT_TRUE(stream->Send(PatternFrame(sent), Soon()).ok());
}

TEST(GrpcStream, AClientThatDoesNotReadFillsItsQueueOnly) {
  GrpcServerOptions options;
  options.send_queue = {.frames = 4, .bytes = 64 * kMib};
  const std::unique_ptr<GrpcServer> server = MustStart(options);
  const std::unique_ptr<FrameStream> deaf = MustConnect(server->address());
  StreamId deaf_id = 0;
  MustTakeA<StreamOpened>(*server, &deaf_id);
  const std::unique_ptr<FrameStream> fine = MustConnect(server->address());
  StreamId fine_id = 0;
  MustTakeA<StreamOpened>(*server, &fine_id);
  absl::Status status;
  for (uint64_t i = 0; status.ok() && i < 64; ++i) {
    status = server->Send(deaf_id, PatternFrame(i, 16 * kMib));
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("does not read"));
  ASSERT_TRUE(server->Send(fine_id, PatternFrame(7)).ok());
  EXPECT_EQ(MustReceive(*fine).key.step, 7u);
  EXPECT_EQ(MustReceive(*deaf).key.step, 0u);
}

TEST(GrpcStream, FramesOverTheLimitAreRefusedOnBothSides) {
  GrpcServerOptions options;
  options.limits.max_payload_bytes = 1000;
  const std::unique_ptr<GrpcServer> server = MustStart(options);
  GrpcStreamOptions same;
  same.limits = options.limits;
  const std::unique_ptr<FrameStream> honest = MustConnect(server->address(), same);
  const absl::Status refused = honest->Send(PatternFrame(3, 1004), Soon());
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("HiddenUp of client \"bank\", attempt 1, step 3"));
  StreamId id = 0;
  MustTakeA<StreamOpened>(*server, &id);
  EXPECT_EQ(server->Send(id, PatternFrame(1, 1004)).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(server->Send(id, PatternFrame(1, 1000)).ok());

  const std::unique_ptr<FrameStream> careless = MustConnect(server->address());
  ASSERT_TRUE(careless->Send(PatternFrame(1, 1004), Soon()).ok());
  const absl::Status seen = careless->Receive(Soon()).status();
  EXPECT_EQ(seen.code(), absl::StatusCode::kResourceExhausted) << seen;
  EXPECT_THAT(std::string(seen.message()), HasSubstr("1004 bytes; expected at most 1000"));
  MustTakeA<StreamOpened>(*server);
  EXPECT_EQ(MustTakeA<StreamClosed>(*server).status.code(), absl::StatusCode::kResourceExhausted);

  // So large that gRPC itself does not take it in.
  const std::unique_ptr<FrameStream> hostile = MustConnect(server->address());
  ASSERT_TRUE(hostile->Send(PatternFrame(1, 16 * kMib), Soon()).ok());
  EXPECT_EQ(hostile->Receive(Soon()).status().code(), absl::StatusCode::kResourceExhausted);
  MustTakeA<StreamOpened>(*server);
  EXPECT_FALSE(MustTakeA<StreamClosed>(*server).status.ok());
}

TEST(GrpcStream, BoundsTheNumberOfStreams) {
  GrpcServerOptions options;
  options.max_streams = 1;
  const std::unique_ptr<GrpcServer> server = MustStart(options);
  std::unique_ptr<FrameStream> first = MustConnect(server->address());
  MustTakeA<StreamOpened>(*server);
  const std::unique_ptr<FrameStream> second = MustConnect(server->address());
  EXPECT_EQ(second->Receive(Soon()).status().code(), absl::StatusCode::kResourceExhausted);
  first.reset();
  EXPECT_TRUE(MustTakeA<StreamClosed>(*server).status.ok());
  const std::unique_ptr<FrameStream> third = MustConnect(server->address());
  MustTakeA<StreamOpened>(*server);
}

TEST(GrpcStream, NobodyAtTheAddress) {
  const absl::Status status = ConnectGrpc({.target = "127.0.0.1:1"}, In(std::chrono::milliseconds(100))).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("\"127.0.0.1:1\""));
}

}  // namespace
}  // namespace splitft::transport
