// The part of frame_check.h that looks at a payload's numbers.

#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "libs/protocol/finite_scan.h"
#include "libs/protocol/frame_check.h"
#include "libs/protocol/int8_codec.h"

namespace splitft::protocol {
namespace {

// Of a step after the first, which was finite.
constexpr char kDivergenceHint[] = "; training has diverged: a lower learningRate or a warm-up usually helps";

std::string HintOf(const Frame& frame) { return frame.key.step > 0 ? kDivergenceHint : ""; }

absl::Status CheckLabels(const Frame& frame, int64_t vocabulary_size) {
  const std::span<const std::byte> bytes = frame.payload.bytes();
  for (size_t i = 0; i < bytes.size() / sizeof(int32_t); ++i) {
    int32_t label = 0;
    std::memcpy(&label, bytes.data() + i * sizeof(label), sizeof(label));
    if (label != kIgnoredLabel && (label < 0 || label >= vocabulary_size)) {
      // The label itself is the client's data: it is not named.
      return absl::OutOfRangeError(absl::StrCat(DescribeFrame(frame.key), ": label ", i, " of ",
                                                bytes.size() / sizeof(int32_t), " is no token; expected 0 to ",
                                                vocabulary_size - 1, " or ", kIgnoredLabel));
    }
  }
  return absl::OkStatus();
}

// Of these any byte is a number; it is the scales that make them finite.
absl::Status CheckScales(const Frame& frame) {
  const int64_t rows = frame.tensor.shape[0];
  if (const std::optional<int64_t> row = FirstBadInt8Scale(frame.payload.bytes().data(), rows)) {
    return absl::OutOfRangeError(absl::StrCat(DescribeFrame(frame.key), ": scale ", *row, " of ", rows,
                                              " is NaN, infinite, negative or above ", kInt8MaxScale,
                                              "; expected that of finite numbers", HintOf(frame)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckFrameValues(const Frame& frame, const ExpectedFrame& expected) {
  if (frame.tensor.format == WireFormat::kInt32) {
    return CheckLabels(frame, expected.vocabulary_size);
  }
  if (frame.tensor.format == WireFormat::kInt8) {
    return CheckScales(frame);
  }
  const std::span<const std::byte> bytes = frame.payload.bytes();
  if (const std::optional<size_t> index = FirstNonFinite(frame.tensor.format, bytes)) {
    return absl::OutOfRangeError(absl::StrCat(DescribeFrame(frame.key), ": number ", *index, " of ",
                                              static_cast<int64_t>(bytes.size()) / WireFormatBytes(frame.tensor.format),
                                              " is NaN or infinite; expected finite numbers", HintOf(frame)));
  }
  return absl::OkStatus();
}

}  // namespace splitft::protocol
