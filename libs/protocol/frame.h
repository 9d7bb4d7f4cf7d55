#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "libs/base/clock.h"

// What crosses the wire, as values. docs/wire.md has the picture. libs/transport maps them to bytes.
namespace splitft::protocol {

inline constexpr uint32_t kProtocolVersion = 3;

// C: client to aggregator. A: aggregator to client. Values travel: never renumber.
enum class FrameKind : uint32_t {
  kHello = 1,         // C  opens a stream; body Hello
  kWelcome = 2,       // A  body Welcome
  kStepBegin = 3,     // A  payload: fp32 adapters of the client's blocks (head range, then tail range); body Assignment
  kHiddenUp = 4,      // C  [N, D] hidden state at the cut, with its runs
  kLabelsUp = 5,      // C  [N] int32, only with labels on the server
  kHiddenDown = 6,    // A  [N, D] hidden state at the tail, only with labels on the client
  kGradientUp = 7,    // C  [N, D] gradient at the tail's input; body LossReport
  kGradientDown = 8,  // A  [N, D] gradient at the cut, unless the client's blocks are frozen
  kStepEnd = 9,       // C  payload: fp32 adapter gradients of the client's blocks (may be empty); body StepReport
  kEvalBegin = 10,    // A  payload as kStepBegin; the client runs its held-out batches, one microbatch each
  kEvalHiddenUp = 11,    // C  as kHiddenUp
  kEvalLabelsUp = 12,    // C  as kLabelsUp
  kEvalHiddenDown = 13,  // A  as kHiddenDown; with labels on the server an empty acknowledgement
  kEvalEnd = 14,         // C  body LossReport over all held-out batches (zero where the server has the labels)
  kFinish = 15,          // A  body Finish; the stream ends
  kFault = 16,           // C or A  body Fault; the stream ends
  kPrepare = 17,         // A  body Assignment: one that may come; what it needs is loaded now
  kPrepared = 18,        // C  body Prepared
};
// "HiddenUp" for kHiddenUp; "unknown" for a value that is none.
std::string_view FrameKindName(FrameKind kind);
// Whether `value` is one of FrameKind's: what a number from the wire is asked before it becomes one.
bool IsFrameKind(uint32_t value);

// How numbers are written on the wire.
enum class WireFormat : uint32_t { kNone = 0, kFp32 = 1, kBf16 = 2, kInt32 = 3, kInt8 = 4 };
// "bf16" for kBf16; "unknown" for a value that is none.
std::string_view WireFormatName(WireFormat format);
bool IsWireFormat(uint32_t value);
// Bytes of one element; 0 for kNone. kInt8 has scales besides: TensorBytes.
int64_t WireFormatBytes(WireFormat format);

// The identity of a frame: a second one with the same key is the same frame. `attempt` fences: it grows whenever a step
// is started over, and frames of an earlier attempt are dropped.
struct FrameKey {
  std::string job_uid;
  uint32_t attempt = 0;
  std::string client;
  uint64_t step = 0;
  uint32_t microbatch = 0;
  FrameKind kind = FrameKind::kHello;
  bool operator==(const FrameKey&) const = default;
};
// `HiddenUp of client "a", attempt 0, step 3, microbatch 1`: how messages for people name a frame.
std::string DescribeFrame(const FrameKey& key);

struct SequenceRun {
  int64_t count = 0;
  int64_t length = 0;
  bool operator==(const SequenceRun&) const = default;
};

// Rows of a hidden state that `runs` describe; they have been checked (frame_check.h), so the sum does not overflow.
int64_t TokenCount(const std::vector<SequenceRun>& runs);

struct TensorHeader {
  WireFormat format = WireFormat::kNone;
  std::vector<int64_t> shape;
  std::vector<SequenceRun> runs;  // hidden states and their labels: which rows are which sequences
  bool operator==(const TensorHeader&) const = default;
};

// Bytes of such a tensor's payload; nothing where the shape is no memory's, or not one that the format has.
std::optional<int64_t> TensorBytes(const TensorHeader& tensor);

// Bytes that somebody keeps alive: a tensor's storage, a received slice. Immutable and cheap to copy (shared, because
// the transport still sends while the trainer goes on).
class Payload {
 public:
  Payload() = default;
  Payload(std::shared_ptr<const void> owner, std::span<const std::byte> bytes)
      : owner_(std::move(owner)), bytes_(bytes) {}
  std::span<const std::byte> bytes() const { return bytes_; }
  const std::shared_ptr<const void>& owner() const { return owner_; }

 private:
  std::shared_ptr<const void> owner_;
  std::span<const std::byte> bytes_;
};

// What a client says of itself. The aggregator refuses a client whose version, model or adapters differ from its own.
struct Hello {
  uint32_t protocol_version = kProtocolVersion;
  uint64_t model_digest = 0;     // HashName of config.json's bytes
  int64_t adapter_elements = 0;  // AdapterLayout::size()
  int64_t hidden_size = 0;
  std::vector<WireFormat> formats;  // that it can decode
  int64_t train_rows = 0;
  int64_t eval_batches = 0;
  bool operator==(const Hello&) const = default;
};

// What the aggregator decided for this client.
struct Welcome {
  int32_t cut_layer = 0;
  int32_t tail_blocks = 0;
  WireFormat format = WireFormat::kFp32;  // of hidden states and their gradients, both ways
  int64_t max_frame_bytes = 0;
  int64_t total_steps = 0;
  uint64_t next_step = 0;
  bool operator==(const Welcome&) const = default;
};

struct LossReport {
  double loss_sum = 0;      // sum of -log p over unmasked tokens
  int64_t loss_tokens = 0;  // unmasked tokens
  bool operator==(const LossReport&) const = default;
};

// Where a client's time in one step went (seconds), and what it used.
struct StepReport {
  double head_forward_seconds = 0;
  double tail_seconds = 0;
  double head_backward_seconds = 0;
  double wait_seconds = 0;  // for the aggregator's answers
  int64_t tokens = 0;
  int64_t peak_memory_bytes = 0;
  int64_t memory_limit_bytes = 0;  // what it may use; 0: unknown
  double cpu_seconds = 0;          // of processors that it used, added up over them, as the next
  double throttled_seconds = 0;    // that its CPU quota held it back
  double cpu_quota = 0;            // in cores; 0: none
  bool operator==(const StepReport&) const = default;
};

struct Finish {
  std::string reason;  // Completed, EarlyStopped
  bool operator==(const Finish&) const = default;
};

// Why a peer gives up: an absl::StatusCode and a message for people. Never carries text, tokens or labels of the data.
struct Fault {
  int32_t code = 0;
  std::string message;
  bool operator==(const Fault&) const = default;
};

// Which blocks a client runs, in how many parts it divides a step's batch (all clients alike), and how hidden states
// and their gradients travel, both ways. It holds from the step (or evaluation) that it begins on.
struct Assignment {
  uint64_t plan = 0;  // which decision it is of; 0: what the job began with
  int32_t cut_layer = 0;
  WireFormat format = WireFormat::kFp32;
  int32_t microbatches = 1;
  bool operator==(const Assignment&) const = default;
};

// Whether a client could do what Prepare announced.
struct Prepared {
  uint64_t plan = 0;
  std::string refusal;  // why not; empty: it could
  bool operator==(const Prepared&) const = default;
};

using FrameBody =
    std::variant<std::monostate, Hello, Welcome, LossReport, StepReport, Finish, Fault, Assignment, Prepared>;

struct Frame {
  FrameKey key;
  TensorHeader tensor;
  FrameBody body;
  Payload payload;
  // C: how long the client had the frame that this one answers; with it the aggregator knows how long the wire took
  // there and back. 0: not an answer.
  double held_seconds = 0;
  TimePoint arrived{};  // here; does not travel. None where the transport does not say
};

}  // namespace splitft::protocol
