#include "libs/transport/tensor_codec.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "libs/base/random.h"

namespace splitft::transport {
namespace {

using protocol::Payload;
using protocol::WireFormat;

uint16_t OneToBf16(float value) {
  uint16_t out = 0;
  Fp32ToBf16({&value, 1}, {&out, 1});
  return out;
}

// By definition: the nearer of the two neighbours, on a tie the one whose last bit is 0.
uint16_t ReferenceBf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto low = static_cast<uint16_t>(bits >> 16);
  const uint32_t rest = bits & 0xFFFFU;
  return static_cast<uint16_t>(low + (rest > 0x8000U || (rest == 0x8000U && (low & 1U) != 0) ? 1 : 0));
}

Payload PayloadOf(const std::vector<float>& numbers) {
  auto owner = std::make_shared<std::vector<float>>(numbers);
  const auto bytes = std::as_bytes(std::span<const float>(*owner));
  return Payload(std::move(owner), bytes);
}

TEST(TensorCodec, RoundsToNearestTiesToEven) {
  EXPECT_EQ(OneToBf16(1.0F), 0x3F80);
  EXPECT_EQ(OneToBf16(std::bit_cast<float>(0x3F808000U)), 0x3F80);  // a tie: down to even
  EXPECT_EQ(OneToBf16(std::bit_cast<float>(0x3F818000U)), 0x3F82);  // a tie: up to even
  EXPECT_EQ(OneToBf16(std::bit_cast<float>(0x3F808001U)), 0x3F81);
  EXPECT_EQ(OneToBf16(std::bit_cast<float>(0x3F807FFFU)), 0x3F80);
  EXPECT_EQ(OneToBf16(-0.0F), 0x8000);
  EXPECT_EQ(OneToBf16(std::numeric_limits<float>::infinity()), 0x7F80);
  EXPECT_EQ(OneToBf16(std::numeric_limits<float>::max()), 0x7F80);  // as torch has it: rounds up to infinity
  EXPECT_EQ(OneToBf16(std::numeric_limits<float>::denorm_min()), 0x0000);
}

TEST(TensorCodec, NanStaysNan) {
  for (const uint32_t bits : {0x7FC00000U, 0x7F800001U, 0xFFFFFFFFU, 0xFF800001U}) {
    uint16_t half = OneToBf16(std::bit_cast<float>(bits));
    float back = 0;
    Bf16ToFp32({&half, 1}, {&back, 1});
    EXPECT_TRUE(std::isnan(back)) << std::hex << bits;
    EXPECT_EQ(half >> 15, bits >> 31);
  }
}

TEST(TensorCodec, AgreesWithTheDefinitionOnRandomBits) {
  const RandomStream random({.seed = 3});
  std::vector<float> numbers;
  for (uint64_t i = 0; numbers.size() < 10007; ++i) {
    const auto number = std::bit_cast<float>(random.Bits(i));
    if (!std::isnan(number)) {
      numbers.push_back(number);
    }
  }
  std::vector<uint16_t> halves(numbers.size());
  Fp32ToBf16(numbers, halves);
  for (size_t i = 0; i < numbers.size(); ++i) {
    ASSERT_EQ(halves[i], ReferenceBf16(numbers[i])) << std::hex << std::bit_cast<uint32_t>(numbers[i]);
  }
}

TEST(TensorCodec, EveryBf16ComesBackExactly) {
  std::vector<uint16_t> halves(65536);
  for (size_t i = 0; i < halves.size(); ++i) {
    halves[i] = static_cast<uint16_t>(i);
  }
  std::vector<float> numbers(halves.size());
  Bf16ToFp32(halves, numbers);
  std::vector<uint16_t> back(halves.size());
  Fp32ToBf16(numbers, back);
  for (size_t i = 0; i < halves.size(); ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(numbers[i]), static_cast<uint32_t>(i) << 16);
    if (!std::isnan(numbers[i])) {
      ASSERT_EQ(back[i], halves[i]);
    }
  }
}

TEST(TensorCodec, TouchesNothingBehindTheLastNumber) {
  for (size_t size = 0; size < 40; ++size) {
    const std::vector<float> numbers(size, 2.0F);
    std::vector<uint16_t> halves(size + 16, 0xABCD);
    Fp32ToBf16(numbers, std::span<uint16_t>(halves).first(size));
    for (size_t i = 0; i < halves.size(); ++i) {
      ASSERT_EQ(halves[i], i < size ? 0x4000 : 0xABCD) << i << " of " << size;
    }
  }
}

TEST(TensorCodec, SharesWhatIsOfTheFormatAlready) {
  const Payload numbers = PayloadOf({1, 2, 3});
  const absl::StatusOr<Payload> encoded = EncodeTensor(numbers, WireFormat::kFp32, WireFormat::kFp32);
  ASSERT_TRUE(encoded.ok());
  EXPECT_EQ(encoded->bytes().data(), numbers.bytes().data());
}

TEST(TensorCodec, EncodesAndDecodesBetweenFormats) {
  const Payload numbers = PayloadOf({1.0F, -2.5F, 3.140625F});
  const absl::StatusOr<Payload> halves = EncodeTensor(numbers, WireFormat::kFp32, WireFormat::kBf16);
  ASSERT_TRUE(halves.ok()) << halves.status();
  EXPECT_EQ(halves->bytes().size(), 6u);
  std::vector<float> back(3);
  const auto out = std::as_writable_bytes(std::span<float>(back));
  ASSERT_TRUE(DecodeTensor(*halves, WireFormat::kBf16, out, WireFormat::kFp32).ok());
  EXPECT_EQ(back, (std::vector<float>{1.0F, -2.5F, 3.140625F}));
  const absl::StatusOr<Payload> widened = EncodeTensor(*halves, WireFormat::kBf16, WireFormat::kFp32);
  ASSERT_TRUE(widened.ok());
  EXPECT_EQ(std::memcmp(widened->bytes().data(), numbers.bytes().data(), 12), 0);
  std::vector<uint16_t> same(3);
  ASSERT_TRUE(
      DecodeTensor(*halves, WireFormat::kBf16, std::as_writable_bytes(std::span<uint16_t>(same)), WireFormat::kBf16)
          .ok());
  EXPECT_EQ(same[0], 0x3F80);
}

TEST(TensorCodec, RefusesFormatsAndSizesThatDoNotFit) {
  const Payload numbers = PayloadOf({1, 2, 3});
  EXPECT_EQ(EncodeTensor(numbers, WireFormat::kInt32, WireFormat::kFp32).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(EncodeTensor(numbers, WireFormat::kFp32, WireFormat::kNone).status().code(),
            absl::StatusCode::kInvalidArgument);
  const Payload odd(numbers.owner(), numbers.bytes().first(7));
  EXPECT_EQ(EncodeTensor(odd, WireFormat::kFp32, WireFormat::kBf16).status().code(),
            absl::StatusCode::kInvalidArgument);
  std::vector<std::byte> out(11);
  EXPECT_EQ(DecodeTensor(numbers, WireFormat::kFp32, out, WireFormat::kFp32).code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace splitft::transport
