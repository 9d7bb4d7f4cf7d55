#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/clock.h"
#include "libs/transport/grpc_server.h"
#include "libs/transport/grpc_stream.h"

// What the tests of this folder share: servers on free ports of loopback, frames, and waits that end.
namespace splitft::transport {

inline TimePoint In(Duration duration) { return SystemClock().Now() + duration; }
inline TimePoint Soon() { return In(std::chrono::seconds(60)); }

inline std::unique_ptr<GrpcServer> MustStart(GrpcServerOptions options = {}) {
  if (options.address.empty()) {
    options.address = "127.0.0.1:0";
  }
  absl::StatusOr<std::unique_ptr<GrpcServer>> server = GrpcServer::Start(options);
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

inline std::unique_ptr<protocol::FrameStream> MustConnect(const std::string& target, GrpcStreamOptions options = {}) {
  options.target = target;
  absl::StatusOr<std::unique_ptr<protocol::FrameStream>> stream = ConnectGrpc(options, Soon());
  EXPECT_TRUE(stream.ok()) << stream.status();
  return *std::move(stream);
}

inline protocol::StreamEvent MustTake(protocol::FrameServer& server) {
  absl::StatusOr<protocol::StreamEvent> event = server.Next(Soon());
  EXPECT_TRUE(event.ok()) << event.status();
  return event.ok() ? *std::move(event) : protocol::StreamEvent{};
}

// The next event, which must be of that kind.
template <typename What>
What MustTakeA(protocol::FrameServer& server, protocol::StreamId* stream = nullptr) {
  protocol::StreamEvent event = MustTake(server);
  if (stream != nullptr) {
    *stream = event.stream;
  }
  EXPECT_TRUE(std::holds_alternative<What>(event.what)) << "event " << event.what.index();
  return std::holds_alternative<What>(event.what) ? std::get<What>(std::move(event.what)) : What();
}

inline protocol::Frame MustReceive(protocol::FrameStream& stream) {
  absl::StatusOr<protocol::Frame> frame = stream.Receive(Soon());
  EXPECT_TRUE(frame.ok()) << frame.status();
  return frame.ok() ? *std::move(frame) : protocol::Frame();
}

// A hidden state of `bytes` bytes whose numbers depend on `step`.
inline protocol::Frame PatternFrame(uint64_t step, size_t bytes = 0) {
  auto numbers = std::make_shared<std::vector<uint32_t>>(bytes / 4);
  for (size_t i = 0; i < numbers->size(); ++i) {
    (*numbers)[i] = static_cast<uint32_t>(i * 2654435761U + step);
  }
  protocol::Frame frame;
  frame.key = {.job_uid = "job", .attempt = 1, .client = "bank", .step = step, .kind = protocol::FrameKind::kHiddenUp};
  frame.tensor = {.format = protocol::WireFormat::kFp32, .shape = {static_cast<int64_t>(bytes / 4), 1}};
  const auto view = std::as_bytes(std::span<const uint32_t>(*numbers));
  frame.payload = protocol::Payload(std::move(numbers), view);
  return frame;
}

inline void ExpectSameFrame(const protocol::Frame& actual, const protocol::Frame& expected) {
  EXPECT_EQ(actual.key, expected.key);
  EXPECT_EQ(actual.tensor, expected.tensor);
  EXPECT_EQ(actual.body, expected.body);
  const auto a = actual.payload.bytes();
  const auto e = expected.payload.bytes();
  EXPECT_TRUE(std::equal(a.begin(), a.end(), e.begin(), e.end())) << a.size() << " bytes; expected " << e.size();
}

}  // namespace splitft::transport
