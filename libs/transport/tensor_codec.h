#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/protocol/frame.h"

// Numbers to wire formats and back, without LibTorch. Conversions are exact or round to nearest, ties to even, as
// torch.Tensor.to does; NaN stays NaN.
namespace splitft::transport {

// `out` and `in` have the same number of elements and do not overlap. bf16 is the upper half of fp32.
void Fp32ToBf16(std::span<const float> in, std::span<uint16_t> out);
void Bf16ToFp32(std::span<const uint16_t> in, std::span<float> out);

// `numbers` (fp32 or bf16, as `numbers_format` says, aligned to their element) as `format`. Shares their memory where
// they are of that format already, else converts once into memory of its own. InvalidArgument: another format; bytes
// that are no whole number of elements.
absl::StatusOr<protocol::Payload> EncodeTensor(const protocol::Payload& numbers, protocol::WireFormat numbers_format,
                                               protocol::WireFormat format);

// The payload's numbers, which are of `format`, into the caller's memory as `out_format`. InvalidArgument as
// EncodeTensor, or when `out` is not of their size.
absl::Status DecodeTensor(const protocol::Payload& payload, protocol::WireFormat format, std::span<std::byte> out,
                          protocol::WireFormat out_format);

}  // namespace splitft::transport
