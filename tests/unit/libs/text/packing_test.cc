#include "libs/text/packing.h"

#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/random.h"

namespace splitft::text {
namespace {

using testing::ElementsAre;

// Samples of these lengths; sample i is made of the token i.
std::vector<Sample> Samples(const std::vector<int64_t>& lengths) {
  std::vector<Sample> samples;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const auto length = static_cast<size_t>(lengths[i]);
    samples.push_back({std::vector<int32_t>(length, static_cast<int32_t>(i)), std::vector<uint8_t>(length, 1)});
  }
  return samples;
}

// The samples' numbers, row by row.
std::vector<std::vector<int>> Numbers(const std::vector<Row>& rows) {
  std::vector<std::vector<int>> numbers;
  for (const Row& row : rows) {
    numbers.emplace_back();
    for (const Sample& sample : row.samples) {
      numbers.back().push_back(sample.tokens[0]);
    }
  }
  return numbers;
}

TEST(Packing, FillsEachRowAsFullAsItCan) {
  EXPECT_THAT(Numbers(PackRows(Samples({3, 7, 5, 5, 10, 2}), 10)),
              ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3), ElementsAre(4), ElementsAre(5)));
}

TEST(Packing, PutsASampleIntoTheFullestRowWithRoom) {
  // After 6 and 7 there is room for 4 and 3: the 3 belongs behind the 7.
  EXPECT_THAT(Numbers(PackRows(Samples({6, 7, 3, 4}), 10)), ElementsAre(ElementsAre(0, 3), ElementsAre(1, 2)));
}

TEST(Packing, KeepsEverySampleOnceWholeAndWithinTheRow) {
  const RandomStream stream({.seed = 3, .purpose = RandomPurpose::kSampling});
  std::vector<int64_t> lengths(500);
  for (size_t i = 0; i < lengths.size(); ++i) {
    lengths[i] = 2 + static_cast<int64_t>(stream.Below(i, 63));
  }
  const std::vector<Row> rows = PackRows(Samples(lengths), 64);
  std::vector<int> seen(lengths.size(), 0);
  for (const Row& row : rows) {
    int64_t total = 0;
    for (const Sample& sample : row.samples) {
      const auto i = static_cast<size_t>(sample.tokens[0]);
      ++seen[i];
      EXPECT_EQ(static_cast<int64_t>(sample.tokens.size()), lengths[i]);
      EXPECT_EQ(sample.loss_mask.size(), sample.tokens.size());
      total += lengths[i];
    }
    EXPECT_LE(total, 64);
  }
  EXPECT_EQ(seen, std::vector<int>(lengths.size(), 1));
  // First fit decreasing needs at most 11/9 of the optimum (Johnson 1973); best fit decreasing likewise.
  const int64_t tokens = std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
  EXPECT_LE(static_cast<double>(rows.size()), 11.0 / 9.0 * static_cast<double>(tokens) / 64.0 + 2);
}

TEST(Packing, NothingMakesNoRow) { EXPECT_TRUE(PackRows({}, 8).empty()); }

}  // namespace
}  // namespace splitft::text
