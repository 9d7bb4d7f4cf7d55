#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "libs/protocol/frame.h"

namespace splitft::protocol {

enum class Side { kClient, kAggregator };

// A label that takes no part in the loss.
inline constexpr int32_t kIgnoredLabel = -100;
// Bytes of a Fault's message and of a Finish's reason.
inline constexpr size_t kMaxFaultMessageBytes = 4096;
inline constexpr size_t kMaxFinishReasonBytes = 256;

// What a receiver may see on one client's stream: what was negotiated, and where training stands.
struct ExpectedFrame {
  Side sender = Side::kClient;
  std::string job_uid;
  std::string client;
  uint32_t max_attempt = std::numeric_limits<uint32_t>::max();  // earlier ones pass: they are stale, not wrong
  uint64_t first_step = 0;
  uint64_t last_step = std::numeric_limits<uint64_t>::max();
  bool labels_on_server = false;
  WireFormat format = WireFormat::kFp32;  // of hidden states and their gradients
  int64_t hidden_size = 0;                // D
  int64_t max_tokens = 0;                 // N of one microbatch or held-out batch
  std::optional<int64_t> tokens;          // exactly, where the receiver knows N
  int64_t adapter_elements = 0;           // of the client's blocks
  int64_t max_microbatches = 1;           // that its batch can be divided into
  bool gradient_required = false;         // whether StepEnd must carry them; else it may come without
  int64_t vocabulary_size = 0;            // labels are below it, or kIgnoredLabel
  int64_t max_payload_bytes = 0;
};

// Everything about a frame but its numbers; nothing is allocated by what the frame says of its own size.
// `payload_bytes` is the payload's size; frame.payload is not looked at. Messages name the frame, the field, its value
// and what was expected, never what a tensor or text holds. Errors:
//   PermissionDenied   another job's or client's frame
//   OutOfRange         a step or attempt ahead of what has begun
//   ResourceExhausted  over a limit: tokens, payload, message
//   InvalidArgument    a kind this side does not send; a body, format, shape, run or size that does not belong to the
//   kind
absl::Status CheckFrameHeader(const Frame& frame, uint64_t payload_bytes, const ExpectedFrame& expected);

// The payload's numbers, of a frame whose header passed. OutOfRange: a NaN or an infinity, with its index; a scale of
// int8 rows that is none, likewise; a label that is neither kIgnoredLabel nor a token of the vocabulary.
absl::Status CheckFrameValues(const Frame& frame, const ExpectedFrame& expected);

// Both, in that order.
absl::Status CheckFrame(const Frame& frame, const ExpectedFrame& expected);

}  // namespace splitft::protocol
