#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "libs/base/random.h"

// Rows of numbers as int8 with one fp32 scale each: what WireFormat::kInt8 has on the wire (docs/wire.md). The bytes
// are the same on every machine; libs/train/int8_gpu.cu does the same on a GPU.
namespace splitft::protocol {

// A number is its integer, -127 to 127, times its row's scale: the row's largest absolute value / 127, or 0 where all
// of it is 0. The payload of N rows of D numbers: N scales, then N * D integers.

// The largest scale that a receiver takes: times any int8 it is finite, in bf16 too.
inline constexpr float kInt8MaxScale = 0x1.fep+120F;
// The least that is written, but for 0: 2^16 over it is finite.
inline constexpr float kInt8MinScale = 0x1p-110F;

// Rows [begin, end) of a payload of `rows` rows. Threads may share the work on one payload by rows.
struct Int8Rows {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t begin = 0;
  int64_t end = 0;
};

// Writes those rows' scales and integers into `payload`. `numbers` points to all rows: float, or uint16_t for bf16.
// Without `noise` a number goes to the nearest integer and comes back within (1/2 + 2^-15) of its row's scale. With it,
// it goes up or down by chance: within one scale, and its expectation is the number to 2^-15 of the scale. What is
// drawn depends on `noise`, row and column alone: half of word w of noise.Group(row << 32 | g), the upper half for odd
// columns, where w = column % 256 / 64 and g = column / 256 * 32 + column % 64 / 2.
// A row with a NaN or an infinity gets NaN for its scale, which FirstBadInt8Scale finds.
template <typename Number>
void EncodeInt8(const Number* numbers, const Int8Rows& part, const std::optional<RandomStream>& noise,
                std::byte* payload);

// The reverse: writes those rows of `numbers`. To bf16 it rounds to nearest, ties to even.
template <typename Number>
void DecodeInt8(const std::byte* payload, const Int8Rows& part, Number* numbers);

// The first of a payload's `rows` scales that is NaN, infinite, negative or above kInt8MaxScale.
std::optional<int64_t> FirstBadInt8Scale(const std::byte* payload, int64_t rows);

}  // namespace splitft::protocol
