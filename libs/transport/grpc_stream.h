#pragma once

#include <grpcpp/security/credentials.h>

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/protocol/ports.h"
#include "libs/transport/grpc_options.h"

namespace splitft::transport {

struct GrpcStreamOptions {
  std::string target;                                     // "host:port", "unix:/path"
  std::shared_ptr<grpc::ChannelCredentials> credentials;  // null: none, plain text
  GrpcLimits limits;
  QueueLimits send_queue = {.frames = 8, .bytes = 64 << 20};
  QueueLimits receive_queue = {.frames = 8, .bytes = 64 << 20};
  // How long the stream's destructor waits for queued frames and for the aggregator's goodbye before it cancels.
  std::chrono::milliseconds linger = std::chrono::seconds(2);
};

// A stream to the aggregator at options.target; waits until the connection stands. Unavailable: it did not by
// `deadline`. The stream is thread-safe as protocol::FrameStream says.
absl::StatusOr<std::unique_ptr<protocol::FrameStream>> ConnectGrpc(const GrpcStreamOptions& options,
                                                                   TimePoint deadline);

}  // namespace splitft::transport
