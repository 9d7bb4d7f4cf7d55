#pragma once

#include <grpc/support/time.h>
#include <grpcpp/support/channel_arguments.h>

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "libs/base/clock.h"
#include "libs/transport/frame_codec.h"

namespace splitft::transport {

// /SERVICE/METHOD of the frames' stream (api/proto/frame.proto).
inline constexpr char kExchangeMethod[] = "/splitft.wire.Trainer/Exchange";

// A queue takes frames until one of both is reached; so it may hold one frame more than `bytes`.
struct QueueLimits {
  size_t frames = 0;
  size_t bytes = 0;
};

// What both ends of a stream agree on.
struct GrpcLimits {
  int64_t max_payload_bytes = kDefaultMaxPayloadBytes;
  // A silent connection is asked after `keepalive_time`, by a server after twice that, and given up `keepalive_timeout`
  // later: so long may a peer that vanished without a word go unnoticed.
  std::chrono::milliseconds keepalive_time = std::chrono::seconds(20);
  std::chrono::milliseconds keepalive_timeout = std::chrono::seconds(10);
};

// gRPC's settings for `limits`, the same on both ends but for when a server asks.
enum class End { kClient, kServer };
grpc::ChannelArguments ChannelArgumentsFor(const GrpcLimits& limits, End end);

// `point` as gRPC counts time.
gpr_timespec GrpcTime(TimePoint point);

// Keeps gRPC and its threads until the program ends. Called by everything here that starts gRPC; idempotent. Two faults
// of gRPC 1.51 are left aside by it: when the last object goes, its clean-up joins a thread that may be in a poll of
// ten seconds; and when the last user of its callback queue goes, destroying the queue races with the queue's own
// threads, which abort.
void KeepGrpcRunning();

// What a frame takes in a queue: its payload, and a little for the rest.
size_t QueuedBytes(const protocol::Frame& frame);

}  // namespace splitft::transport
