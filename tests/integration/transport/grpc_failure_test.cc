#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <thread>

#include "api/proto/control.grpc.pb.h"
#include "libs/base/random.h"
#include "tests/integration/transport/grpc_test_server.h"
#include "tests/support/cuttable_proxy.h"

namespace splitft::transport {
namespace {

using protocol::Frame;
using protocol::FrameStream;
using protocol::StreamClosed;
using protocol::StreamId;
using protocol::StreamOpened;
using ::testing::HasSubstr;

std::string Loopback(int port) { return "127.0.0.1:" + std::to_string(port); }

std::unique_ptr<CuttableProxy> MustStartProxy(int port) {
  absl::StatusOr<std::unique_ptr<CuttableProxy>> proxy = CuttableProxy::Start(port);
  EXPECT_TRUE(proxy.ok()) << proxy.status();
  return *std::move(proxy);
}

GrpcLimits ImpatientLimits() {
  return {.keepalive_time = std::chrono::milliseconds(300), .keepalive_timeout = std::chrono::seconds(2)};
}

// Sends one message to the exchange method, and returns how the call ended.
grpc::Status Exchange(const std::string& address, const std::string& message) {
  grpc::GenericStub stub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(GrpcTime(Soon()));
  grpc::CompletionQueue queue;
  const auto next = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
  };
  const auto call = stub.PrepareCall(&context, kExchangeMethod, &queue);
  call->StartCall(nullptr);
  next();
  const grpc::Slice slice(message);
  call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
  next();
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  next();
  grpc::Status status;
  call->Finish(&status, nullptr);
  next();
  return status;
}

TEST(GrpcFailure, GarbageEndsItsStreamOnly) {
  const std::unique_ptr<GrpcServer> server = MustStart();
  const std::unique_ptr<FrameStream> good = MustConnect(server->address());
  MustTakeA<StreamOpened>(*server);
  const RandomStream random({.seed = 7});
  for (uint64_t attempt = 0; attempt < 20; ++attempt) {
    std::string garbage(random.Below(attempt, 200), '\0');
    for (size_t i = 0; i < garbage.size(); ++i) {
      garbage[i] = static_cast<char>(random.Bits(attempt * 256 + i));
    }
    EXPECT_EQ(Exchange(server->address(), garbage).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    MustTakeA<StreamOpened>(*server);
    EXPECT_EQ(MustTakeA<StreamClosed>(*server).status.code(), absl::StatusCode::kInvalidArgument);
  }
  ASSERT_TRUE(good->Send(PatternFrame(1), Soon()).ok());
  EXPECT_EQ(MustTakeA<Frame>(*server).key.step, 1u);
}

TEST(GrpcFailure, AnUnknownMethodIsNotImplemented) {
  const std::unique_ptr<GrpcServer> server = MustStart();
  const auto stub =
      control::Control::NewStub(grpc::CreateChannel(server->address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(GrpcTime(Soon()));
  const auto reader = stub->Watch(&context, control::WatchRequest());
  control::JobEvent event;
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

// A service with a blocking method that says one thing, then waits for the end of the call.
class PatientControl final : public control::Control::Service {
 public:
  grpc::Status Watch(grpc::ServerContext* context, const control::WatchRequest*,
                     grpc::ServerWriter<control::JobEvent>* writer) override {
    control::JobEvent event;
    event.set_step(42);
    writer->Write(event);
    while (!context->IsCancelled()) {
      SystemClock().SleepFor(std::chrono::milliseconds(1));
    }
    return grpc::Status::CANCELLED;
  }
};

TEST(GrpcFailure, ServicesShareThePortAndEndWithTheServer) {
  PatientControl service;
  GrpcServerOptions options;
  options.services = {&service};
  const std::unique_ptr<GrpcServer> server = MustStart(options);
  const std::unique_ptr<FrameStream> stream = MustConnect(server->address());
  MustTakeA<StreamOpened>(*server);
  const auto stub =
      control::Control::NewStub(grpc::CreateChannel(server->address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(GrpcTime(Soon()));
  const auto reader = stub->Watch(&context, control::WatchRequest());
  control::JobEvent event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.step(), 42);
  server->Shutdown(In(std::chrono::milliseconds(50)));
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_FALSE(reader->Finish().ok());
  EXPECT_EQ(stream->Receive(Soon()).status().code(), absl::StatusCode::kUnavailable);
}

TEST(GrpcFailure, AClientThatDiesIsNoticed) {
  const std::unique_ptr<GrpcServer> server = MustStart();
  const std::unique_ptr<CuttableProxy> proxy = MustStartProxy(server->port());
  const std::unique_ptr<FrameStream> stream = MustConnect(Loopback(proxy->port()));
  ASSERT_TRUE(stream->Send(PatternFrame(1), Soon()).ok());
  StreamId id = 0;
  MustTakeA<StreamOpened>(*server, &id);
  MustTakeA<Frame>(*server);
  proxy->Cut();
  const absl::Status status = MustTakeA<StreamClosed>(*server).status;
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("127.0.0.1"));
  EXPECT_EQ(stream->Receive(Soon()).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(stream->Send(PatternFrame(2), Soon()).code(), absl::StatusCode::kUnavailable);
}

TEST(GrpcFailure, ASilentPeerIsGivenUpOnBothSides) {
  GrpcServerOptions options;
  options.limits = ImpatientLimits();
  const std::unique_ptr<GrpcServer> server = MustStart(options);
  const std::unique_ptr<CuttableProxy> proxy = MustStartProxy(server->port());
  GrpcStreamOptions client;
  client.limits = ImpatientLimits();
  const std::unique_ptr<FrameStream> stream = MustConnect(Loopback(proxy->port()), client);
  MustTakeA<StreamOpened>(*server);
  // Quiet, but alive: nobody gives up.
  EXPECT_EQ(server->Next(In(std::chrono::milliseconds(2500))).status().code(), absl::StatusCode::kDeadlineExceeded);
  ASSERT_TRUE(stream->Send(PatternFrame(1), Soon()).ok());
  MustTakeA<Frame>(*server);
  proxy->Freeze();
  EXPECT_EQ(stream->Receive(Soon()).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(MustTakeA<StreamClosed>(*server).status.code(), absl::StatusCode::kUnavailable);
}

TEST(GrpcFailure, ALossInTheMiddleOfAFrameEndsBothSides) {
  const std::unique_ptr<GrpcServer> server = MustStart();
  const std::unique_ptr<CuttableProxy> proxy = MustStartProxy(server->port());
  const std::unique_ptr<FrameStream> stream = MustConnect(Loopback(proxy->port()));
  MustTakeA<StreamOpened>(*server);
  proxy->Freeze();
  ASSERT_TRUE(stream->Send(PatternFrame(1, 32 << 20), Soon()).ok());
  proxy->Cut();
  EXPECT_EQ(MustTakeA<StreamClosed>(*server).status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(stream->Receive(Soon()).status().code(), absl::StatusCode::kUnavailable);
}

TEST(GrpcFailure, ShutdownWakesEveryWait) {
  GrpcServerOptions options;
  options.receive_queue = {.frames = 1, .bytes = 1 << 20};
  const std::unique_ptr<GrpcServer> server = MustStart(options);
  GrpcStreamOptions client;
  client.send_queue = {.frames = 1, .bytes = 1 << 20};
  const std::unique_ptr<FrameStream> reader = MustConnect(server->address());
  const std::unique_ptr<FrameStream> writer = MustConnect(server->address(), client);
  std::vector<std::jthread> waiting;
  waiting.emplace_back([&] { EXPECT_EQ(reader->Receive(Soon()).status().code(), absl::StatusCode::kUnavailable); });
  waiting.emplace_back([&] {
    absl::Status status;
    for (uint64_t step = 0; status.ok(); ++step) {
      status = writer->Send(PatternFrame(step, 4 << 20), Soon());
    }
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  });
  waiting.emplace_back([&] {
    absl::StatusOr<protocol::StreamEvent> event = server->Next(Soon());
    for (int taken = 0; event.ok() && taken < 2; ++taken) {
      event = server->Next(Soon());
    }
    // Leaves the writer's frames where they are.
  });
  SystemClock().SleepFor(std::chrono::milliseconds(50));
  server->Shutdown(In(std::chrono::milliseconds(100)));
  server->Shutdown(In(std::chrono::milliseconds(100)));
  waiting.clear();
  EXPECT_EQ(server->Next(Soon()).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(server->Send(1, PatternFrame(1)).code(), absl::StatusCode::kNotFound);
}

TEST(GrpcFailure, ShutdownDeliversWhatIsQueued) {
  const std::unique_ptr<GrpcServer> server = MustStart();
  const std::unique_ptr<FrameStream> stream = MustConnect(server->address());
  StreamId id = 0;
  MustTakeA<StreamOpened>(*server, &id);
  for (uint64_t step = 0; step < 3; ++step) {
    ASSERT_TRUE(server->Send(id, PatternFrame(step, 1 << 20)).ok());
  }
  server->Shutdown(Soon());
  for (uint64_t step = 0; step < 3; ++step) {
    EXPECT_EQ(MustReceive(*stream).key.step, step);
  }
  EXPECT_EQ(stream->Receive(Soon()).status().code(), absl::StatusCode::kUnavailable);
}

TEST(GrpcFailure, AStreamThatIsDroppedWhileTheServerIsDeafDoesNotHang) {
  GrpcServerOptions options;
  options.receive_queue = {.frames = 1, .bytes = 1 << 20};
  const std::unique_ptr<GrpcServer> server = MustStart(options);
  GrpcStreamOptions client;
  client.linger = std::chrono::milliseconds(50);
  std::unique_ptr<FrameStream> stream = MustConnect(server->address(), client);
  for (uint64_t step = 0; step < 6; ++step) {
    ASSERT_TRUE(stream->Send(PatternFrame(step, 8 << 20), Soon()).ok());
  }
  const TimePoint start = SystemClock().Now();
  stream.reset();
  EXPECT_LT(Seconds(SystemClock().Now() - start), 5.0);
}

TEST(GrpcFailure, APortInUseIsNamed) {
  const std::unique_ptr<GrpcServer> server = MustStart();
  const absl::Status status = GrpcServer::Start({.address = server->address()}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(server->address()));
  EXPECT_THAT(std::string(status.message()), HasSubstr("in use"));
}

TEST(GrpcFailure, AUnixSocketInUseIsNamedAndADeadOneReplaced) {
  const std::string address = "unix:" + ::testing::TempDir() + "/grpc_failure_test.sock";
  std::unique_ptr<GrpcServer> server = MustStart({.address = address});
  EXPECT_THAT(std::string(GrpcServer::Start({.address = address}).status().message()), HasSubstr("in use"));
  server.reset();
  server = MustStart({.address = address});
  EXPECT_NE(server, nullptr);
}

TEST(GrpcFailure, WhatIsNoAddressIsRefused) {
  for (const char* address :
       {"", "nowhere", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", ":1", "::1:80", "unix:"}) {
    const absl::Status status = GrpcServer::Start({.address = address}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << address << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("\"" + std::string(address) + "\""));
  }
  const absl::Status status = GrpcServer::Start({.address = "no.such.host.invalid:0"}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no.such.host.invalid"));
}

}  // namespace
}  // namespace splitft::transport
