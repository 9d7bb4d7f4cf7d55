#include "libs/protocol/frame.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace splitft::protocol {

std::string_view FrameKindName(FrameKind kind) {
  switch (kind) {
    case FrameKind::kHello:
      return "Hello";
    case FrameKind::kWelcome:
      return "Welcome";
    case FrameKind::kStepBegin:
      return "StepBegin";
    case FrameKind::kHiddenUp:
      return "HiddenUp";
    case FrameKind::kLabelsUp:
      return "LabelsUp";
    case FrameKind::kHiddenDown:
      return "HiddenDown";
    case FrameKind::kGradientUp:
      return "GradientUp";
    case FrameKind::kGradientDown:
      return "GradientDown";
    case FrameKind::kStepEnd:
      return "StepEnd";
    case FrameKind::kEvalBegin:
      return "EvalBegin";
    case FrameKind::kEvalHiddenUp:
      return "EvalHiddenUp";
    case FrameKind::kEvalLabelsUp:
      return "EvalLabelsUp";
    case FrameKind::kEvalHiddenDown:
      return "EvalHiddenDown";
    case FrameKind::kEvalEnd:
      return "EvalEnd";
    case FrameKind::kFinish:
      return "Finish";
    case FrameKind::kFault:
      return "Fault";
    case FrameKind::kPrepare:
      return "Prepare";
    case FrameKind::kPrepared:
      return "Prepared";
  }
  return "unknown";
}

bool IsFrameKind(uint32_t value) {
  return value >= static_cast<uint32_t>(FrameKind::kHello) && value <= static_cast<uint32_t>(FrameKind::kPrepared);
}

std::string DescribeFrame(const FrameKey& key) {
  return absl::StrCat(std::string(FrameKindName(key.kind)), " of client \"", absl::CHexEscape(key.client.substr(0, 64)),
                      "\", attempt ", key.attempt, ", step ", key.step, ", microbatch ", key.microbatch);
}

std::string_view WireFormatName(WireFormat format) {
  switch (format) {
    case WireFormat::kNone:
      return "none";
    case WireFormat::kFp32:
      return "fp32";
    case WireFormat::kBf16:
      return "bf16";
    case WireFormat::kInt32:
      return "int32";
    case WireFormat::kInt8:
      return "int8";
  }
  return "unknown";
}

bool IsWireFormat(uint32_t value) { return value <= static_cast<uint32_t>(WireFormat::kInt8); }

int64_t WireFormatBytes(WireFormat format) {
  switch (format) {
    case WireFormat::kNone:
      return 0;
    case WireFormat::kFp32:
    case WireFormat::kInt32:
      return 4;
    case WireFormat::kBf16:
      return 2;
    case WireFormat::kInt8:
      return 1;
  }
  return 0;
}

std::optional<int64_t> TensorBytes(const TensorHeader& tensor) {
  int64_t bytes = WireFormatBytes(tensor.format);
  bool fits = tensor.format != WireFormat::kInt8 || tensor.shape.size() == 2;
  for (const int64_t dimension : tensor.shape) {
    fits = fits && dimension >= 0 && !__builtin_mul_overflow(bytes, dimension, &bytes);
  }
  int64_t scales = 0;
  if (fits && tensor.format == WireFormat::kInt8) {
    fits = !__builtin_mul_overflow(int64_t{sizeof(float)}, tensor.shape[0], &scales) &&
           !__builtin_add_overflow(bytes, scales, &bytes);
  }
  return fits ? std::optional<int64_t>(bytes) : std::nullopt;
}

int64_t TokenCount(const std::vector<SequenceRun>& runs) {
  int64_t tokens = 0;
  for (const SequenceRun& run : runs) {
    tokens += run.count * run.length;
  }
  return tokens;
}

}  // namespace splitft::protocol
