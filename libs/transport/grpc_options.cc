#include "libs/transport/grpc_options.h"

#include <grpc/impl/codegen/grpc_types.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <limits>

namespace splitft::transport {
namespace {

// A channel that leads nowhere and made one call: from then on it holds gRPC and gRPC's callback queue.
class Anchor {
 public:
  Anchor() : stub_(grpc::CreateChannel("unix:", nullptr)) {
    stub_.UnaryCall(&context_, kExchangeMethod, grpc::StubOptions(), &request_, &response_, [](const grpc::Status&) {});
  }

 private:
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::Slice nothing_;
  grpc::ByteBuffer request_{&nothing_, 1};
  grpc::ByteBuffer response_;
};

}  // namespace

grpc::ChannelArguments ChannelArgumentsFor(const GrpcLimits& limits, End end) {
  // A frame a little too large still arrives and gets an error that says so; gRPC ends the call of a larger one.
  constexpr int64_t kSlackBytes = 1 << 20;
  const int64_t message_bytes =
      std::min<int64_t>(std::numeric_limits<int>::max(), limits.max_payload_bytes + kMaxFrameHeaderBytes + kSlackBytes);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(message_bytes));
  arguments.SetMaxSendMessageSize(static_cast<int>(message_bytes));
  // Clients ask before it is the server's turn. Its own questions find out who vanished; and they go to the operator,
  // for whom those of a thousand jobs are work.
  const std::chrono::milliseconds patience = (end == End::kServer ? 2 : 1) * limits.keepalive_time;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(patience.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, static_cast<int>(limits.keepalive_timeout.count()));
  // The peer asks, too: neither may take that for an attack.
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                   static_cast<int>(limits.keepalive_time.count() / 2));
  // Workers are started together with the aggregator: look often while it is not there yet.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // One stream per client and connection: nothing is gained by sharing, and a client's frames are no one else's.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Proxies from the environment would see activations and break loopback.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  return arguments;
}

gpr_timespec GrpcTime(TimePoint point) {
  // Both count the same monotonic clock, from its beginning.
  const Duration since = std::max(point.time_since_epoch(), Duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
  return {.tv_sec = seconds.count(),
          .tv_nsec = static_cast<int32_t>((since - seconds).count()),
          .clock_type = GPR_CLOCK_MONOTONIC};
}

void KeepGrpcRunning() { [[maybe_unused]] static const Anchor* const anchor = new Anchor(); }

size_t QueuedBytes(const protocol::Frame& frame) { return sizeof(frame) + frame.payload.bytes().size(); }

}  // namespace splitft::transport
