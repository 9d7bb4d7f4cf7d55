#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "libs/protocol/frame.h"

// Frames as bytes: a 16-byte prefix, a wire::FrameHeader, the payload (api/proto/frame.proto, docs/wire.md).
namespace splitft::transport {

inline constexpr size_t kFramePrefixBytes = 16;
inline constexpr size_t kMaxFrameHeaderBytes = 64 << 10;
inline constexpr int64_t kDefaultMaxPayloadBytes = int64_t{1} << 30;
// Where a received payload's memory begins: a multiple of this.
inline constexpr size_t kPayloadAlignment = 64;

// Memory for a payload of `size` bytes, aligned to kPayloadAlignment, not initialised.
std::shared_ptr<std::byte> NewPayloadMemory(size_t size);

// The frame as gRPC sends it. The payload is not copied: the buffer's slices share its owner, and its bytes must not
// change until the last of them is gone. ResourceExhausted: the header is over kMaxFrameHeaderBytes, or the payload
// over `max_payload_bytes`.
absl::StatusOr<grpc::ByteBuffer> EncodeFrame(const protocol::Frame& frame, int64_t max_payload_bytes);

// The way back. A payload that lies in one aligned slice is shared, else copied once into aligned memory.
// InvalidArgument: no frame (prefix, sizes, header); ResourceExhausted: over a limit, told before memory is taken for
// it. What the frame means is not looked at: see protocol/frame_check.h.
absl::StatusOr<protocol::Frame> DecodeFrame(const grpc::ByteBuffer& buffer, int64_t max_payload_bytes);

// Bytes of the frame on the wire, without gRPC's own: prefix, header and payload.
int64_t EncodedFrameBytes(const protocol::Frame& frame);

}  // namespace splitft::transport
