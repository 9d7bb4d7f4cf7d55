#include "libs/protocol/int8_codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include "libs/base/target_clones.h"

#define SPLITFT_INLINE [[gnu::always_inline]] inline

namespace splitft::protocol {
namespace {

// The loops are left to the compiler to vectorise, for each clone's instruction set: GCC keeps vector types that are
// wider than a register in memory.

constexpr int64_t kGroups = 32;          // evaluations of Philox side by side, of four words each
constexpr int64_t kChunk = 8 * kGroups;  // columns that they serve, two to a word
constexpr auto kScaleBytes = static_cast<int64_t>(sizeof(float));

// A number becomes an integer with 16 bits behind the point; adding 16 bits of noise, or a half, decides which way it
// goes.
constexpr int kFractionBits = 16;
constexpr float kOne = 1 << kFractionBits;
constexpr float kMost = 127 * kOne;
constexpr int32_t kHalf = 1 << (kFractionBits - 1);

constexpr int32_t kInfinityBits = 0x7F800000;

SPLITFT_INLINE float Widen(float x) { return x; }
SPLITFT_INLINE float Widen(uint16_t bf16) { return std::bit_cast<float>(static_cast<uint32_t>(bf16) << 16); }
SPLITFT_INLINE void Narrow(float x, float* out) { *out = x; }
SPLITFT_INLINE void Narrow(float x, uint16_t* out) {  // it is finite
  const auto bits = std::bit_cast<uint32_t>(x);
  *out = static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

// libs/base/random.cc's Philox; a recursion, because a loop within the loop over groups would not be vectorised.
template <int rounds>
SPLITFT_INLINE void PhiloxRounds(uint32_t (&c)[4], uint32_t k0, uint32_t k1) {
  if constexpr (rounds > 0) {
    const uint64_t p0 = 0xD2511F53ULL * c[0];
    const uint64_t p1 = 0xCD9E8D57ULL * c[2];
    c[0] = static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0;
    c[1] = static_cast<uint32_t>(p1);
    c[2] = static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1;
    c[3] = static_cast<uint32_t>(p0);
    PhiloxRounds<rounds - 1>(c, k0 + 0x9E3779B9U, k1 + 0xBB67AE85U);
  }
}

// Word w of noise.Group(row << 32 | first + i) to words[kGroups * w + i], for i below `groups`.
SPLITFT_INLINE void Draw(const RandomStream& noise, uint32_t row, uint32_t first, uint32_t groups, uint32_t* words) {
  const std::array<uint32_t, 2> key = noise.key();
  const std::array<uint32_t, 2> salt = noise.salt();
  for (uint32_t i = 0; i < groups; ++i) {
    uint32_t c[4] = {first + i, row, salt[0], salt[1]};
    PhiloxRounds<10>(c, key[0], key[1]);
    words[i] = c[0];
    words[kGroups + i] = c[1];
    words[2 * kGroups + i] = c[2];
    words[3 * kGroups + i] = c[3];
  }
}

SPLITFT_INLINE int8_t Quantize(float x, float inverse, int32_t up) {
  const float scaled = x * inverse;
  const float below = scaled < kMost ? scaled : kMost;  // the largest may be a rounding above
  const float within = below > -kMost ? below : -kMost;
  return static_cast<int8_t>((static_cast<int32_t>(within) + up) >> kFractionBits);
}

template <typename Number>
SPLITFT_INLINE void QuantizeToNearest(const Number* in, int64_t columns, float inverse, int8_t* out) {
  for (int64_t i = 0; i < columns; ++i) {
    out[i] = Quantize(Widen(in[i]), inverse, kHalf);
  }
}

// By chance; `row` is the row's number.
template <typename Number>
SPLITFT_INLINE void QuantizeWithNoise(const Number* in, int64_t columns, float inverse, const RandomStream& noise,
                                      uint32_t row, int8_t* out) {
  std::array<uint32_t, kChunk / 2> words;
  std::array<uint16_t, kChunk> up;
  for (int64_t begin = 0; begin < columns; begin += kChunk) {
    const int64_t count = std::min(kChunk, columns - begin);
    const auto groups = static_cast<uint32_t>(std::min(kGroups, (count + 1) / 2));
    Draw(noise, row, static_cast<uint32_t>(begin / kChunk * kGroups), groups, words.data());
    std::memcpy(up.data(), words.data(), sizeof up);
    for (int64_t i = 0; i < count; ++i) {
      out[begin + i] = Quantize(Widen(in[begin + i]), inverse, up[static_cast<size_t>(i)]);
    }
  }
}

template <typename Number>
SPLITFT_INLINE float ScaleOf(const Number* row, int64_t columns) {
  // As integers, the bits of an infinity or a NaN are above every number's.
  int32_t most = 0;
  for (int64_t i = 0; i < columns; ++i) {
    const int32_t bits = std::bit_cast<int32_t>(Widen(row[i])) & 0x7FFFFFFF;
    most = bits > most ? bits : most;
  }
  if (most >= kInfinityBits) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  return most == 0 ? 0 : std::max(std::bit_cast<float>(most) / 127.0F, kInt8MinScale);
}

template <typename Number>
SPLITFT_TARGET_CLONES void EncodeRows(const Number* numbers, const Int8Rows& part, const RandomStream* noise,
                                      std::byte* payload) {
  const int64_t columns = part.columns;
  auto* const integers = reinterpret_cast<int8_t*>(payload + part.rows * kScaleBytes);
  for (int64_t row = part.begin; row < part.end; ++row) {
    const Number* const in = numbers + row * columns;
    int8_t* const out = integers + row * columns;
    const float scale = ScaleOf(in, columns);
    std::memcpy(payload + row * kScaleBytes, &scale, sizeof scale);
    if (!(scale > 0)) {
      std::memset(out, 0, static_cast<size_t>(columns));
    } else if (noise == nullptr) {
      QuantizeToNearest(in, columns, kOne / scale, out);
    } else {
      QuantizeWithNoise(in, columns, kOne / scale, *noise, static_cast<uint32_t>(row), out);
    }
  }
}

template <typename Number>
SPLITFT_TARGET_CLONES void DecodeRows(const std::byte* payload, const Int8Rows& part, Number* numbers) {
  const int64_t columns = part.columns;
  const auto* const integers = reinterpret_cast<const int8_t*>(payload + part.rows * kScaleBytes);
  for (int64_t row = part.begin; row < part.end; ++row) {
    const int8_t* const in = integers + row * columns;
    Number* const out = numbers + row * columns;
    float scale = 0;
    std::memcpy(&scale, payload + row * kScaleBytes, sizeof scale);
    for (int64_t i = 0; i < columns; ++i) {
      Narrow(static_cast<float>(in[i]) * scale, out + i);
    }
  }
}

}  // namespace

template <typename Number>
void EncodeInt8(const Number* numbers, const Int8Rows& part, const std::optional<RandomStream>& noise,
                std::byte* payload) {
  EncodeRows(numbers, part, noise ? &*noise : nullptr, payload);
}
template void EncodeInt8(const float*, const Int8Rows&, const std::optional<RandomStream>&, std::byte*);
template void EncodeInt8(const uint16_t*, const Int8Rows&, const std::optional<RandomStream>&, std::byte*);

template <typename Number>
void DecodeInt8(const std::byte* payload, const Int8Rows& part, Number* numbers) {
  DecodeRows(payload, part, numbers);
}
template void DecodeInt8(const std::byte*, const Int8Rows&, float*);
template void DecodeInt8(const std::byte*, const Int8Rows&, uint16_t*);

std::optional<int64_t> FirstBadInt8Scale(const std::byte* payload, int64_t rows) {
  constexpr auto kMaxBits = std::bit_cast<uint32_t>(kInt8MaxScale);
  for (int64_t row = 0; row < rows; ++row) {
    uint32_t bits = 0;
    std::memcpy(&bits, payload + row * kScaleBytes, sizeof bits);
    if (bits > kMaxBits) {  // as are the bits of what is negative, infinite or NaN
      return row;
    }
  }
  return std::nullopt;
}

}  // namespace splitft::protocol
