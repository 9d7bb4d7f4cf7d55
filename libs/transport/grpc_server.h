#pragma once

#include <grpcpp/impl/codegen/service_type.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/protocol/ports.h"
#include "libs/transport/grpc_options.h"

namespace splitft::transport {

struct GrpcServerOptions {
  std::string address;                                   // "host:port", port 0 for any; "unix:/path"
  std::shared_ptr<grpc::ServerCredentials> credentials;  // null: none, plain text
  GrpcLimits limits;
  // Of one stream: frames received and not taken by Next, beyond which it is not read from.
  QueueLimits receive_queue = {.frames = 8, .bytes = 64 << 20};
  // Of one stream: frames that the peer has not read, beyond which Send fails.
  QueueLimits send_queue = {.frames = 1024, .bytes = size_t{1} << 30};
  size_t max_streams = 1024;
  // Ordinary services on the same port, such as control.proto's. They outlive the server.
  std::vector<grpc::Service*> services;
};

// The aggregator's end over gRPC. Thread-safe.
class GrpcServer final : public protocol::FrameServer {
 public:
  // Listens. Unavailable, with the address and why: it is in use, may not be used, or is none.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const GrpcServerOptions& options);
  // Shuts down at once where Shutdown was not called.
  ~GrpcServer() override;

  // Where it listens, with the port that was chosen where 0 was asked for.
  const std::string& address() const;
  // 0 on a unix socket.
  int port() const;

  absl::StatusOr<protocol::StreamEvent> Next(TimePoint deadline) override;
  absl::Status Send(protocol::StreamId stream, protocol::Frame frame) override;
  void Close(protocol::StreamId stream, absl::Status status) override;
  // Services' calls are cancelled at `deadline` too.
  void Shutdown(TimePoint deadline) override;

 private:
  class Service;
  GrpcServer();
  std::unique_ptr<Service> service_;
};

}  // namespace splitft::transport
