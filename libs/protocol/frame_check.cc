#include "libs/protocol/frame_check.h"

#include <cmath>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/status_macros.h"

namespace splitft::protocol {
namespace {

// What a kind of frame carries.
enum class TensorKind { kNone, kHidden, kLabels, kAdapters };
struct KindRules {
  std::optional<Side> sender;  // nothing: both
  TensorKind tensor = TensorKind::kNone;
  size_t body = 0;  // index into FrameBody
  bool runs = false;
  std::optional<bool> labels_on_server;  // the kind exists only then
};

template <typename Body>
constexpr size_t IndexOf() {
  return FrameBody(std::in_place_type<Body>).index();
}

std::optional<KindRules> RulesOf(FrameKind kind) {
  const size_t none = 0;
  switch (kind) {
    case FrameKind::kHello:
      return KindRules{Side::kClient, TensorKind::kNone, IndexOf<Hello>()};
    case FrameKind::kWelcome:
      return KindRules{Side::kAggregator, TensorKind::kNone, IndexOf<Welcome>()};
    case FrameKind::kStepBegin:
    case FrameKind::kEvalBegin:
      return KindRules{Side::kAggregator, TensorKind::kAdapters, IndexOf<Assignment>()};
    case FrameKind::kHiddenUp:
    case FrameKind::kEvalHiddenUp:
      return KindRules{Side::kClient, TensorKind::kHidden, none, true};
    case FrameKind::kLabelsUp:
    case FrameKind::kEvalLabelsUp:
      return KindRules{Side::kClient, TensorKind::kLabels, none, true, true};
    case FrameKind::kHiddenDown:
      return KindRules{Side::kAggregator, TensorKind::kHidden, none, false, false};
    case FrameKind::kEvalHiddenDown:
      return KindRules{Side::kAggregator, TensorKind::kHidden, none};
    case FrameKind::kGradientUp:
      return KindRules{Side::kClient, TensorKind::kHidden, IndexOf<LossReport>(), false, false};
    case FrameKind::kGradientDown:
      return KindRules{Side::kAggregator, TensorKind::kHidden, none};
    case FrameKind::kStepEnd:
      return KindRules{Side::kClient, TensorKind::kAdapters, IndexOf<StepReport>()};
    case FrameKind::kEvalEnd:
      return KindRules{Side::kClient, TensorKind::kNone, IndexOf<LossReport>()};
    case FrameKind::kFinish:
      return KindRules{Side::kAggregator, TensorKind::kNone, IndexOf<Finish>()};
    case FrameKind::kFault:
      return KindRules{std::nullopt, TensorKind::kNone, IndexOf<Fault>()};
    case FrameKind::kPrepare:
      return KindRules{Side::kAggregator, TensorKind::kNone, IndexOf<Assignment>()};
    case FrameKind::kPrepared:
      return KindRules{Side::kClient, TensorKind::kNone, IndexOf<Prepared>()};
  }
  return std::nullopt;
}

std::string_view BodyName(size_t index) {
  constexpr std::string_view kNames[] = {"none",   "Hello", "Welcome",    "LossReport", "StepReport",
                                         "Finish", "Fault", "Assignment", "Prepared"};
  static_assert(std::size(kNames) == std::variant_size_v<FrameBody>);
  return kNames[index];
}

// "FRAME: FIELD is VALUE; expected EXPECTED".
template <typename Value, typename Expected>
std::string Mismatch(const Frame& frame, const char* field, const Value& value, const Expected& expected) {
  return absl::StrCat(DescribeFrame(frame.key), ": ", field, " is ", value, "; expected ", expected);
}

std::string Quoted(const std::string& text) { return absl::StrCat("\"", absl::CHexEscape(text.substr(0, 128)), "\""); }

std::string ShapeText(const std::vector<int64_t>& shape) { return absl::StrCat("[", absl::StrJoin(shape, ", "), "]"); }

absl::Status CheckIdentity(const Frame& frame, const ExpectedFrame& expected) {
  const FrameKey& key = frame.key;
  if (key.job_uid != expected.job_uid) {
    return absl::PermissionDeniedError(Mismatch(frame, "job_uid", Quoted(key.job_uid), Quoted(expected.job_uid)));
  }
  if (key.client != expected.client) {
    return absl::PermissionDeniedError(Mismatch(frame, "client", Quoted(key.client), Quoted(expected.client)));
  }
  if (key.attempt > expected.max_attempt) {
    return absl::OutOfRangeError(
        Mismatch(frame, "attempt", key.attempt, absl::StrCat("at most ", expected.max_attempt)));
  }
  if (key.step < expected.first_step || key.step > expected.last_step) {
    return absl::OutOfRangeError(
        Mismatch(frame, "step", key.step, absl::StrCat(expected.first_step, " to ", expected.last_step)));
  }
  return absl::OkStatus();
}

absl::Status CheckKind(const Frame& frame, const std::optional<KindRules>& rules, const ExpectedFrame& expected) {
  const auto wrong = [&](const char* expectation) {
    return absl::InvalidArgumentError(Mismatch(frame, "kind", static_cast<uint32_t>(frame.key.kind), expectation));
  };
  if (!rules.has_value()) {
    return wrong("one of FrameKind's");
  }
  if (rules->sender.has_value() && *rules->sender != expected.sender) {
    return wrong(expected.sender == Side::kClient ? "one that a client sends" : "one that the aggregator sends");
  }
  if (rules->labels_on_server.has_value() && *rules->labels_on_server != expected.labels_on_server) {
    return wrong(expected.labels_on_server ? "one of a job with labels on the server"
                                           : "one of a job with labels on the clients");
  }
  if (frame.body.index() != rules->body) {
    return absl::InvalidArgumentError(
        Mismatch(frame, "body", std::string(BodyName(frame.body.index())), std::string(BodyName(rules->body))));
  }
  return absl::OkStatus();
}

// The bodies' own rules: numbers that are finite and not negative, texts of a bounded length.
struct BodyCheck {
  const Frame& frame;
  const ExpectedFrame& expected;

  absl::Status NotNegative(const char* field, double value) const {
    if (!(value >= 0) || !std::isfinite(value)) {
      return absl::InvalidArgumentError(Mismatch(frame, field, value, "a finite number >= 0"));
    }
    return absl::OkStatus();
  }
  absl::Status NotNegative(const char* field, int64_t value) const {
    if (value < 0) {
      return absl::InvalidArgumentError(Mismatch(frame, field, value, ">= 0"));
    }
    return absl::OkStatus();
  }
  absl::Status AtMost(const char* field, size_t bytes, size_t limit) const {
    if (bytes > limit) {
      return absl::ResourceExhaustedError(
          Mismatch(frame, field, absl::StrCat(bytes, " bytes long"), absl::StrCat("at most ", limit)));
    }
    return absl::OkStatus();
  }
  absl::Status Known(const char* field, WireFormat format) const {
    if (format == WireFormat::kNone || !IsWireFormat(static_cast<uint32_t>(format))) {
      return absl::InvalidArgumentError(Mismatch(frame, field, static_cast<uint32_t>(format), "one of WireFormat's"));
    }
    return absl::OkStatus();
  }

  absl::Status operator()(std::monostate) const { return absl::OkStatus(); }
  absl::Status operator()(const Hello& hello) const {
    SPLITFT_RETURN_IF_ERROR(NotNegative("hello.adapter_elements", hello.adapter_elements));
    SPLITFT_RETURN_IF_ERROR(NotNegative("hello.hidden_size", hello.hidden_size));
    SPLITFT_RETURN_IF_ERROR(NotNegative("hello.train_rows", hello.train_rows));
    return NotNegative("hello.eval_batches", hello.eval_batches);
    // Its formats may be news to this version: the aggregator picks one that both know.
  }
  absl::Status operator()(const Welcome& welcome) const {
    SPLITFT_RETURN_IF_ERROR(NotNegative("welcome.cut_layer", int64_t{welcome.cut_layer}));
    SPLITFT_RETURN_IF_ERROR(NotNegative("welcome.tail_blocks", int64_t{welcome.tail_blocks}));
    SPLITFT_RETURN_IF_ERROR(NotNegative("welcome.max_frame_bytes", welcome.max_frame_bytes));
    SPLITFT_RETURN_IF_ERROR(NotNegative("welcome.total_steps", welcome.total_steps));
    return Known("welcome.format", welcome.format);
  }
  absl::Status operator()(const LossReport& report) const {
    // The sum itself may be infinite or NaN: that is training's own error, told with the step's loss.
    return NotNegative("loss_report.loss_tokens", report.loss_tokens);
  }
  absl::Status operator()(const StepReport& report) const {
    SPLITFT_RETURN_IF_ERROR(NotNegative("step_report.head_forward_seconds", report.head_forward_seconds));
    SPLITFT_RETURN_IF_ERROR(NotNegative("step_report.tail_seconds", report.tail_seconds));
    SPLITFT_RETURN_IF_ERROR(NotNegative("step_report.head_backward_seconds", report.head_backward_seconds));
    SPLITFT_RETURN_IF_ERROR(NotNegative("step_report.wait_seconds", report.wait_seconds));
    SPLITFT_RETURN_IF_ERROR(NotNegative("step_report.cpu_seconds", report.cpu_seconds));
    SPLITFT_RETURN_IF_ERROR(NotNegative("step_report.throttled_seconds", report.throttled_seconds));
    SPLITFT_RETURN_IF_ERROR(NotNegative("step_report.cpu_quota", report.cpu_quota));
    SPLITFT_RETURN_IF_ERROR(NotNegative("step_report.tokens", report.tokens));
    return NotNegative("step_report.peak_memory_bytes", report.peak_memory_bytes);
  }
  absl::Status operator()(const Finish& finish) const {
    return AtMost("finish.reason", finish.reason.size(), kMaxFinishReasonBytes);
  }
  absl::Status operator()(const Fault& fault) const {
    if (fault.code < 1 || fault.code > 16) {
      return absl::InvalidArgumentError(Mismatch(frame, "fault.code", fault.code, "an absl::StatusCode, 1 to 16"));
    }
    return AtMost("fault.message", fault.message.size(), kMaxFaultMessageBytes);
  }
  absl::Status operator()(const Assignment& assignment) const {
    SPLITFT_RETURN_IF_ERROR(NotNegative("assignment.cut_layer", int64_t{assignment.cut_layer}));
    if (assignment.microbatches < 1 || assignment.microbatches > expected.max_microbatches) {
      return absl::InvalidArgumentError(Mismatch(frame, "assignment.microbatches", assignment.microbatches,
                                                 absl::StrCat("1 to ", expected.max_microbatches)));
    }
    return Known("assignment.format", assignment.format);
  }
  absl::Status operator()(const Prepared& prepared) const {
    return AtMost("prepared.refusal", prepared.refusal.size(), kMaxFaultMessageBytes);
  }
};

bool HasTensor(const Frame& frame) {
  return frame.tensor.format != WireFormat::kNone || !frame.tensor.shape.empty() || !frame.tensor.runs.empty();
}

absl::Status CheckNoTensor(const Frame& frame, uint64_t payload_bytes) {
  if (HasTensor(frame)) {
    return absl::InvalidArgumentError(Mismatch(
        frame, "tensor", absl::StrCat(std::string(WireFormatName(frame.tensor.format)), ShapeText(frame.tensor.shape)),
        "none"));
  }
  if (payload_bytes != 0) {
    return absl::InvalidArgumentError(Mismatch(frame, "payload", absl::StrCat(payload_bytes, " bytes"), "none"));
  }
  return absl::OkStatus();
}

absl::Status CheckFormat(const Frame& frame, WireFormat format) {
  if (frame.tensor.format != format) {
    return absl::InvalidArgumentError(Mismatch(frame, "tensor.format", std::string(WireFormatName(frame.tensor.format)),
                                               std::string(WireFormatName(format))));
  }
  return absl::OkStatus();
}

// N, the rows of a hidden state or the number of its labels.
absl::Status CheckTokens(const Frame& frame, const ExpectedFrame& expected) {
  const int64_t tokens = frame.tensor.shape[0];
  if (tokens < 1) {
    return absl::InvalidArgumentError(Mismatch(frame, "tensor.shape[0]", tokens, "at least 1 token"));
  }
  if (tokens > expected.max_tokens) {
    return absl::ResourceExhaustedError(
        Mismatch(frame, "tensor.shape[0]", tokens, absl::StrCat("at most ", expected.max_tokens, " tokens")));
  }
  if (expected.tokens.has_value() && tokens != *expected.tokens) {
    return absl::InvalidArgumentError(
        Mismatch(frame, "tensor.shape[0]", tokens, absl::StrCat(*expected.tokens, ", this microbatch's tokens")));
  }
  return absl::OkStatus();
}

absl::Status CheckRuns(const Frame& frame, bool required) {
  const std::vector<SequenceRun>& runs = frame.tensor.runs;
  if (runs.empty() && !required) {
    return absl::OkStatus();
  }
  const int64_t tokens = frame.tensor.shape[0];
  int64_t left = tokens;
  for (size_t i = 0; i < runs.size(); ++i) {
    int64_t rows = 0;
    if (runs[i].count < 1 || runs[i].length < 1 || __builtin_mul_overflow(runs[i].count, runs[i].length, &rows) ||
        rows > left) {
      return absl::InvalidArgumentError(
          Mismatch(frame, absl::StrCat("tensor.runs[", i, "]").c_str(),
                   absl::StrCat(runs[i].count, " sequences of ", runs[i].length, " tokens"),
                   absl::StrCat("at least one token and at most the ", left, " that are left of ", tokens)));
    }
    left -= rows;
  }
  if (left != 0) {
    return absl::InvalidArgumentError(
        Mismatch(frame, "tensor.runs", absl::StrCat("of ", tokens - left, " tokens"), absl::StrCat(tokens)));
  }
  return absl::OkStatus();
}

absl::Status CheckRank(const Frame& frame, size_t rank, const char* expected_shape) {
  if (frame.tensor.shape.size() != rank) {
    return absl::InvalidArgumentError(
        Mismatch(frame, "tensor.shape", absl::StrCat("of rank ", frame.tensor.shape.size()), expected_shape));
  }
  return absl::OkStatus();
}

absl::Status CheckHiddenShape(const Frame& frame, const KindRules& rules, const ExpectedFrame& expected) {
  SPLITFT_RETURN_IF_ERROR(CheckFormat(frame, expected.format));
  SPLITFT_RETURN_IF_ERROR(CheckRank(frame, 2, "[tokens, hidden size]"));
  SPLITFT_RETURN_IF_ERROR(CheckTokens(frame, expected));
  if (frame.tensor.shape[1] != expected.hidden_size) {
    return absl::InvalidArgumentError(Mismatch(frame, "tensor.shape[1]", frame.tensor.shape[1],
                                               absl::StrCat(expected.hidden_size, ", the hidden size")));
  }
  return CheckRuns(frame, rules.runs);
}

absl::Status CheckLabelShape(const Frame& frame, const ExpectedFrame& expected) {
  SPLITFT_RETURN_IF_ERROR(CheckFormat(frame, WireFormat::kInt32));
  SPLITFT_RETURN_IF_ERROR(CheckRank(frame, 1, "[tokens]"));
  SPLITFT_RETURN_IF_ERROR(CheckTokens(frame, expected));
  return CheckRuns(frame, true);
}

absl::Status CheckAdapterShape(const Frame& frame, const ExpectedFrame& expected) {
  SPLITFT_RETURN_IF_ERROR(CheckFormat(frame, WireFormat::kFp32));
  SPLITFT_RETURN_IF_ERROR(CheckRank(frame, 1, "[adapter elements]"));
  const bool may_be_empty = frame.key.kind == FrameKind::kStepEnd;
  const int64_t elements = frame.tensor.shape[0];
  if (elements != expected.adapter_elements && !(may_be_empty && elements == 0)) {
    return absl::InvalidArgumentError(
        Mismatch(frame, "tensor.shape[0]", elements,
                 absl::StrCat(expected.adapter_elements, ", the adapters of this client's blocks")));
  }
  if (!frame.tensor.runs.empty()) {
    return absl::InvalidArgumentError(
        Mismatch(frame, "tensor.runs", absl::StrCat(frame.tensor.runs.size(), " runs"), "none"));
  }
  return absl::OkStatus();
}

absl::Status CheckPayloadSize(const Frame& frame, uint64_t payload_bytes) {
  const std::optional<int64_t> bytes = TensorBytes(frame.tensor);
  if (!bytes || static_cast<uint64_t>(*bytes) != payload_bytes) {
    return absl::InvalidArgumentError(
        Mismatch(frame, "payload", absl::StrCat(payload_bytes, " bytes"),
                 bytes ? absl::StrCat(*bytes, ", by the shape ", ShapeText(frame.tensor.shape))
                       : absl::StrCat("the shape ", ShapeText(frame.tensor.shape), ", which is no memory's size")));
  }
  return absl::OkStatus();
}

absl::Status CheckTensor(const Frame& frame, uint64_t payload_bytes, const KindRules& rules,
                         const ExpectedFrame& expected) {
  const bool acknowledgement = frame.key.kind == FrameKind::kEvalHiddenDown && expected.labels_on_server;
  const bool absent = frame.key.kind == FrameKind::kStepEnd && !HasTensor(frame) && !expected.gradient_required;
  switch (acknowledgement || absent ? TensorKind::kNone : rules.tensor) {
    case TensorKind::kNone:
      return CheckNoTensor(frame, payload_bytes);
    case TensorKind::kHidden:
      SPLITFT_RETURN_IF_ERROR(CheckHiddenShape(frame, rules, expected));
      break;
    case TensorKind::kLabels:
      SPLITFT_RETURN_IF_ERROR(CheckLabelShape(frame, expected));
      break;
    case TensorKind::kAdapters:
      SPLITFT_RETURN_IF_ERROR(CheckAdapterShape(frame, expected));
      break;
  }
  return CheckPayloadSize(frame, payload_bytes);
}

}  // namespace

absl::Status CheckFrameHeader(const Frame& frame, uint64_t payload_bytes, const ExpectedFrame& expected) {
  SPLITFT_RETURN_IF_ERROR(CheckIdentity(frame, expected));
  const std::optional<KindRules> rules = RulesOf(frame.key.kind);
  SPLITFT_RETURN_IF_ERROR(CheckKind(frame, rules, expected));
  if (payload_bytes > static_cast<uint64_t>(expected.max_payload_bytes)) {
    return absl::ResourceExhaustedError(Mismatch(frame, "payload", absl::StrCat(payload_bytes, " bytes"),
                                                 absl::StrCat("at most ", expected.max_payload_bytes)));
  }
  SPLITFT_RETURN_IF_ERROR(std::visit(BodyCheck{frame, expected}, frame.body));
  return CheckTensor(frame, payload_bytes, *rules, expected);
}

absl::Status CheckFrame(const Frame& frame, const ExpectedFrame& expected) {
  SPLITFT_RETURN_IF_ERROR(CheckFrameHeader(frame, frame.payload.bytes().size(), expected));
  return CheckFrameValues(frame, expected);
}

}  // namespace splitft::protocol
