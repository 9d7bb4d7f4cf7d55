#include "libs/protocol/finite_scan.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "libs/base/target_clones.h"

namespace splitft::protocol {
namespace {

// A number is finite when not all bits of its exponent are set.
constexpr uint32_t kFp32Exponent = 0x7F800000U;
constexpr uint16_t kBf16Exponent = 0x7F80U;

constexpr size_t kVectorBytes = 64;
constexpr size_t kChunkBytes = 4096;  // scanned without a branch, then searched if anything was found in it

using Words = uint32_t __attribute__((vector_size(kVectorBytes)));
using Halves = uint16_t __attribute__((vector_size(kVectorBytes)));

// Whether one of `vectors` * 64 bytes' numbers has all bits of `exponent` set.
template <typename Vector, typename Number>
[[gnu::always_inline]] inline bool AnyNonFinite(const std::byte* bytes, size_t vectors, Number exponent) {
  Vector found{};
  for (size_t i = 0; i < vectors; ++i) {
    Vector numbers;
    std::memcpy(&numbers, bytes + i * kVectorBytes, kVectorBytes);
    found |= reinterpret_cast<Vector>((numbers & exponent) == exponent);
  }
  Number any = 0;
  for (size_t i = 0; i < kVectorBytes / sizeof(Number); ++i) {
    any |= found[i];
  }
  return any != 0;
}

SPLITFT_TARGET_CLONES
bool AnyNonFiniteFp32(const std::byte* bytes, size_t vectors) {
  return AnyNonFinite<Words>(bytes, vectors, kFp32Exponent);
}

SPLITFT_TARGET_CLONES
bool AnyNonFiniteBf16(const std::byte* bytes, size_t vectors) {
  return AnyNonFinite<Halves>(bytes, vectors, kBf16Exponent);
}

template <typename Number>
std::optional<size_t> FirstIn(std::span<const std::byte> bytes, Number exponent) {
  for (size_t i = 0; i + sizeof(Number) <= bytes.size(); i += sizeof(Number)) {
    Number number;
    std::memcpy(&number, bytes.data() + i, sizeof(number));
    if ((number & exponent) == exponent) {
      return i / sizeof(Number);
    }
  }
  return std::nullopt;
}

template <typename Number>
std::optional<size_t> Scan(std::span<const std::byte> bytes, Number exponent,
                           bool (*any_non_finite)(const std::byte*, size_t)) {
  for (size_t begin = 0; begin < bytes.size(); begin += kChunkBytes) {
    const std::span<const std::byte> chunk = bytes.subspan(begin, std::min(kChunkBytes, bytes.size() - begin));
    const size_t vectors = chunk.size() / kVectorBytes;
    if (vectors * kVectorBytes == chunk.size() && !any_non_finite(chunk.data(), vectors)) {
      continue;
    }
    if (const std::optional<size_t> found = FirstIn(chunk, exponent)) {
      return begin / sizeof(Number) + *found;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<size_t> FirstNonFinite(WireFormat format, std::span<const std::byte> bytes) {
  switch (format) {
    case WireFormat::kFp32:
      return Scan<uint32_t>(bytes, kFp32Exponent, &AnyNonFiniteFp32);
    case WireFormat::kBf16:
      return Scan<uint16_t>(bytes, kBf16Exponent, &AnyNonFiniteBf16);
    case WireFormat::kNone:
    case WireFormat::kInt32:
    case WireFormat::kInt8:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace splitft::protocol
