#include "libs/protocol/int8_codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace splitft::protocol {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();

// Widths on either side of a vector's, of a draw's 64 columns and of the 256 that are drawn for at once.
constexpr int64_t kWidths[] = {1, 2, 3, 15, 16, 17, 63, 64, 65, 127, 255, 256, 257, 300, 511, 513, 768, 771};
constexpr int64_t kRows = 5;

RandomStream Noise(uint64_t step = 0) {
  return RandomStream({.seed = 9, .purpose = RandomPurpose::kRounding, .step = step});
}

// Rows of numbers of both signs whose sizes differ by row: around 1e-6, 1e-3, 1, 1e3 and 1e6.
std::vector<float> Numbers(int64_t columns) {
  const RandomStream draws({.seed = 4, .block = static_cast<uint64_t>(columns)});
  std::vector<float> numbers;
  for (int64_t i = 0; i < kRows * columns; ++i) {
    const int64_t row = i / columns;
    const auto size = static_cast<float>(std::pow(1000.0, static_cast<double>(row) - 2));
    numbers.push_back((2 * draws.Uniform(static_cast<uint64_t>(i)) - 1) * size);
  }
  return numbers;
}

template <typename Number>
std::vector<std::byte> Encode(const std::vector<Number>& numbers, int64_t columns,
                              const std::optional<RandomStream>& noise = std::nullopt) {
  const auto rows = static_cast<int64_t>(numbers.size()) / columns;
  std::vector<std::byte> payload(static_cast<size_t>(rows * (4 + columns)));
  EncodeInt8(numbers.data(), {rows, columns, 0, rows}, noise, payload.data());
  return payload;
}

template <typename Number>
std::vector<Number> Decode(const std::vector<std::byte>& payload, int64_t columns) {
  const int64_t rows = static_cast<int64_t>(payload.size()) / (4 + columns);
  std::vector<Number> numbers(static_cast<size_t>(rows * columns));
  DecodeInt8(payload.data(), {rows, columns, 0, rows}, numbers.data());
  return numbers;
}

float ScaleOf(const std::vector<std::byte>& payload, int64_t row) {
  float scale = 0;
  std::memcpy(&scale, payload.data() + 4 * row, sizeof scale);
  return scale;
}

int IntegerAt(const std::vector<std::byte>& payload, int64_t rows, int64_t element) {
  return static_cast<int8_t>(payload[static_cast<size_t>(4 * rows + element)]);
}

// The furthest that a number is from what came back, in its row's scales.
double FurthestInScales(const std::vector<float>& numbers, const std::vector<std::byte>& payload, int64_t columns) {
  const std::vector<float> back = Decode<float>(payload, columns);
  double furthest = 0;
  for (size_t i = 0; i < numbers.size(); ++i) {
    const double scale = ScaleOf(payload, static_cast<int64_t>(i) / columns);
    furthest = std::max(furthest, std::abs(static_cast<double>(back[i]) - static_cast<double>(numbers[i])) / scale);
  }
  return furthest;
}

TEST(Int8Codec, ScalesAreTheLargestOfEachRow) {
  const std::vector<std::byte> payload = Encode<float>({1, -254, 3, 0.5F, 0.25F, -0.125F}, 3);
  EXPECT_EQ(ScaleOf(payload, 0), 2);
  EXPECT_EQ(ScaleOf(payload, 1), 0.5F / 127);
  const int expected[] = {1, -127, 2, 127, 64, -32};
  for (int64_t i = 0; i < 6; ++i) {
    EXPECT_EQ(IntegerAt(payload, 2, i), expected[i]) << i;
  }
}

TEST(Int8Codec, ToNearestIsWithinHalfAScale) {
  for (const int64_t columns : kWidths) {
    const std::vector<float> numbers = Numbers(columns);
    const double furthest = FurthestInScales(numbers, Encode(numbers, columns), columns);
    EXPECT_LE(furthest, 0.5 + 0x1p-15) << columns;
    EXPECT_TRUE(columns < 64 || furthest > 0.45) << columns << ": the bound is not idle";
  }
}

TEST(Int8Codec, ByChanceIsWithinOneScale) {
  for (const int64_t columns : kWidths) {
    const std::vector<float> numbers = Numbers(columns);
    const double furthest = FurthestInScales(numbers, Encode(numbers, columns, Noise()), columns);
    EXPECT_LT(furthest, 1 + 0x1p-15) << columns;
    EXPECT_TRUE(columns < 64 || furthest > 0.7) << columns << ": the bound is not idle";
  }
}

// The definition in the header, number by number.
TEST(Int8Codec, DrawsWhatTheHeaderSays) {
  const RandomStream noise = Noise();
  for (const int64_t columns : kWidths) {
    const std::vector<float> numbers = Numbers(columns);
    const std::vector<std::byte> payload = Encode(numbers, columns, noise);
    for (int64_t i = 0; i < static_cast<int64_t>(numbers.size()); ++i) {
      const auto row = static_cast<uint64_t>(i / columns);
      const auto column = static_cast<uint64_t>(i % columns);
      const uint32_t word = noise.Group(row << 32 | (column / 256 * 32 + column % 64 / 2))[column % 256 / 64];
      const uint32_t up = column % 2 == 0 ? word & 0xFFFFU : word >> 16;
      const double fixed =
          std::trunc(numbers[static_cast<size_t>(i)] * (65536.0F / ScaleOf(payload, static_cast<int64_t>(row))));
      const double most = 127 * 65536.0;
      EXPECT_EQ(IntegerAt(payload, kRows, i), std::floor((std::clamp(fixed, -most, most) + up) / 65536))
          << "element " << i << " of rows of " << columns;
    }
  }
}

TEST(Int8Codec, ByChanceIsRightOnAverageAndToNearestIsNot) {
  constexpr int64_t kColumns = 64;
  constexpr int kDraws = 4096;
  std::vector<float> numbers = {127};  // the scale is 1
  for (int64_t i = 1; i < kColumns; ++i) {
    numbers.push_back((i % 2 == 0 ? -1.0F : 1.0F) * (static_cast<float>(i) / 4 + 0.3F));
  }
  std::vector<double> sums(kColumns);
  for (int draw = 0; draw < kDraws; ++draw) {
    const std::vector<float> back =
        Decode<float>(Encode(numbers, kColumns, Noise(static_cast<uint64_t>(draw))), kColumns);
    for (size_t i = 0; i < back.size(); ++i) {
      sums[i] += static_cast<double>(back[i]) - static_cast<double>(numbers[i]);
    }
  }
  const std::vector<float> nearest = Decode<float>(Encode(numbers, kColumns), kColumns);
  double total = 0;
  double variance = 0;
  int biased = 0;
  for (size_t i = 0; i < sums.size(); ++i) {
    const double fraction = std::abs(numbers[i]) - std::floor(std::abs(numbers[i]));
    const double deviation = std::sqrt(fraction * (1 - fraction) * kDraws);  // of a sum of Bernoulli draws
    EXPECT_LE(std::abs(sums[i]), 4.5 * deviation + 0x1p-15 * kDraws) << numbers[i];
    biased += kDraws * std::abs(nearest[i] - numbers[i]) > 4.5 * deviation + 0x1p-15 * kDraws ? 1 : 0;
    total += sums[i];
    variance += deviation * deviation;
  }
  EXPECT_LE(std::abs(total), 4.5 * std::sqrt(variance));
  EXPECT_GT(biased, 60) << "the bound can fail";
}

// A sum over a row, as a weight's gradient is, is off by what independent draws would be: no more and no less.
TEST(Int8Codec, ErrorsOfARowAreIndependent) {
  constexpr int64_t kColumns = 768;
  constexpr int kDraws = 2000;
  std::vector<float> numbers(kColumns, 0.3F);
  numbers[5] = 127;
  double squares = 0;
  for (int draw = 0; draw < kDraws; ++draw) {
    double error = 0;
    for (const float back : Decode<float>(Encode(numbers, kColumns, Noise(static_cast<uint64_t>(draw))), kColumns)) {
      error += back;
    }
    error -= 127 + 0.3 * (kColumns - 1);
    squares += error * error;
  }
  const double expected = 0.3 * 0.7 * (kColumns - 1);
  EXPECT_NEAR(squares / kDraws / expected, 1, 4.5 * std::sqrt(2.0 / kDraws));
}

TEST(Int8Codec, TheSameNoiseGivesTheSameBytesHoweverRowsAreShared) {
  const std::vector<float> numbers = Numbers(300);
  const std::vector<std::byte> whole = Encode(numbers, 300, Noise(1));
  std::vector<std::byte> shared(whole.size());
  for (const auto& [begin, end] : {std::pair(3, 5), std::pair(0, 1), std::pair(1, 3)}) {
    EncodeInt8(numbers.data(), {kRows, 300, begin, end}, Noise(1), shared.data());
  }
  EXPECT_EQ(shared, whole);
  EXPECT_NE(Encode(numbers, 300, Noise(2)), whole);
  EXPECT_NE(Encode(numbers, 300), whole);
  std::vector<float> back(numbers.size());
  DecodeInt8(whole.data(), {kRows, 300, 2, 5}, back.data());
  DecodeInt8(whole.data(), {kRows, 300, 0, 2}, back.data());
  EXPECT_EQ(back, Decode<float>(whole, 300));
}

// Otherwise a constant row would be rounded to a constant one, and its noise would not be noise.
TEST(Int8Codec, RowsDrawForThemselves) {
  std::vector<float> numbers(128, 0.5F);
  numbers[0] = numbers[64] = 127;
  const std::vector<float> back = Decode<float>(Encode(numbers, 64, Noise()), 64);
  EXPECT_NE(std::vector(back.begin(), back.begin() + 64), std::vector(back.begin() + 64, back.end()));
}

TEST(Int8Codec, Bf16IsItsOwnFp32) {
  for (const int64_t columns : kWidths) {
    std::vector<uint16_t> halves;
    std::vector<float> numbers;
    for (const float number : Numbers(columns)) {
      halves.push_back(static_cast<uint16_t>(std::bit_cast<uint32_t>(number) >> 16));
      numbers.push_back(std::bit_cast<float>(static_cast<uint32_t>(halves.back()) << 16));
    }
    const std::vector<std::byte> payload = Encode(numbers, columns, Noise());
    EXPECT_EQ(Encode(halves, columns, Noise()), payload);
    EXPECT_EQ(Encode(halves, columns), Encode(numbers, columns));
    const std::vector<float> exact = Decode<float>(payload, columns);
    const std::vector<uint16_t> rounded = Decode<uint16_t>(payload, columns);
    for (size_t i = 0; i < exact.size(); ++i) {
      const float back = std::bit_cast<float>(static_cast<uint32_t>(rounded[i]) << 16);
      EXPECT_LE(std::abs(back - exact[i]), std::abs(exact[i]) * 0x1p-8F) << i << " of rows of " << columns;
    }
  }
}

TEST(Int8Codec, ZerosStayZerosAndTheSmallestNumbersStayClose) {
  const float tiny = std::numeric_limits<float>::denorm_min();
  const std::vector<float> numbers = {0, -0.0F, tiny, -tiny, 1e-35F, 1e-33F, 0x1p-104F, 1e-33F};
  for (const std::optional<RandomStream>& noise : {std::optional<RandomStream>(), std::optional(Noise())}) {
    const std::vector<std::byte> payload = Encode(numbers, 2, noise);
    const std::vector<float> back = Decode<float>(payload, 2);
    EXPECT_EQ(ScaleOf(payload, 0), 0);
    EXPECT_EQ(back[0], 0);
    EXPECT_EQ(back[1], 0);
    for (size_t i = 2; i < numbers.size(); ++i) {
      EXPECT_LE(std::abs(back[i] - numbers[i]), kInt8MinScale) << numbers[i];
    }
    EXPECT_EQ(FirstBadInt8Scale(payload.data(), 4), std::nullopt);
  }
}

TEST(Int8Codec, RowsThatAreNotFiniteHaveNoScale) {
  for (const float bad : {kNan, -kNan, std::bit_cast<float>(0x7F800001U), kInfinity, -kInfinity, kLargest}) {
    for (const int64_t columns : kWidths) {
      for (const std::optional<RandomStream>& noise : {std::optional<RandomStream>(), std::optional(Noise())}) {
        std::vector<float> numbers = Numbers(columns);
        numbers[static_cast<size_t>(4 * columns - 1)] = bad;
        const std::vector<std::byte> payload = Encode(numbers, columns, noise);
        EXPECT_EQ(FirstBadInt8Scale(payload.data(), kRows), 3) << bad << " in rows of " << columns;
      }
    }
  }
}

TEST(Int8Codec, TheLargestScaleIsFiniteTimesAnyInteger) {
  std::vector<std::byte> payload(4 + 256);
  std::memcpy(payload.data(), &kInt8MaxScale, 4);
  for (size_t i = 0; i < 256; ++i) {
    payload[4 + i] = static_cast<std::byte>(i);
  }
  EXPECT_EQ(FirstBadInt8Scale(payload.data(), 1), std::nullopt);
  for (const float number : Decode<float>(payload, 256)) {
    EXPECT_TRUE(std::isfinite(number));
  }
}

TEST(Int8Codec, FindsTheFirstBadScale) {
  for (const float bad : {kNan, -kNan, kInfinity, -kInfinity, -1.0F, -0.0F, std::nextafter(kInt8MaxScale, kLargest)}) {
    std::vector<float> scales(9, 1.0F);
    const auto first = [&] { return FirstBadInt8Scale(std::as_bytes(std::span(scales)).data(), 9); };
    EXPECT_EQ(first(), std::nullopt);
    scales[8] = bad;
    EXPECT_EQ(first(), 8) << bad;
    scales[2] = bad;
    EXPECT_EQ(first(), 2) << bad;
  }
}

TEST(Int8Codec, TouchesNothingBehindItsRows) {
  for (const int64_t columns : kWidths) {
    const std::vector<float> numbers = Numbers(columns);
    for (const std::optional<RandomStream>& noise : {std::optional<RandomStream>(), std::optional(Noise())}) {
      const std::vector<std::byte> payload = Encode(numbers, columns, noise);
      std::vector<std::byte> longer(payload.size() + 64, std::byte{0xAB});
      EncodeInt8(numbers.data(), {kRows, columns, 0, kRows}, noise, longer.data());
      EXPECT_EQ(std::memcmp(longer.data(), payload.data(), payload.size()), 0);
      EXPECT_EQ(std::vector(longer.end() - 64, longer.end()), std::vector(64, std::byte{0xAB}));
      std::vector<float> back(numbers.size() + 16, 7);
      DecodeInt8(payload.data(), {kRows, columns, 0, kRows}, back.data());
      EXPECT_EQ(std::vector(back.end() - 16, back.end()), std::vector<float>(16, 7));
    }
  }
}

}  // namespace
}  // namespace splitft::protocol
