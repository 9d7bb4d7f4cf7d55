#include "libs/base/random.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "gtest/gtest.h"

namespace splitft {
namespace {

// The known-answer vectors that ship with Random123 (kat_vectors, philox4x32 10).
TEST(Philox, MatchesRandom123KnownAnswers) {
  using Counter = std::array<uint32_t, 4>;
  EXPECT_EQ(Philox({0, 0, 0, 0}, {0, 0}), (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffff;
  EXPECT_EQ(Philox({ones, ones, ones, ones}, {ones, ones}), (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(HashName, IsFnv1a) {
  EXPECT_EQ(HashName(""), 0xcbf29ce484222325ULL);
  EXPECT_EQ(HashName("a"), 0xaf63dc4c8601ec8cULL);
  EXPECT_EQ(HashName("foobar"), 0x85944171f73967e8ULL);
}

TEST(RandomStream, EveryFieldOfTheKeyNamesAnotherStream) {
  const RandomKey base{.seed = 1, .purpose = RandomPurpose::kDropout, .client = 2, .step = 3, .block = 4};
  std::set<uint32_t> first;
  for (const RandomKey& key :
       {base, RandomKey{2, RandomPurpose::kDropout, 2, 3, 4}, RandomKey{1, RandomPurpose::kShuffle, 2, 3, 4},
        RandomKey{1, RandomPurpose::kDropout, 3, 3, 4}, RandomKey{1, RandomPurpose::kDropout, 2, 4, 4},
        RandomKey{1, RandomPurpose::kDropout, 2, 3, 5}}) {
    first.insert(RandomStream(key).Bits(0));
  }
  EXPECT_EQ(first.size(), 6U);
  EXPECT_EQ(RandomStream(base).Bits(77), RandomStream(base).Bits(77));
}

TEST(RandomStream, GroupHoldsFourConsecutiveWords) {
  const RandomStream stream({.seed = 9});
  for (uint64_t i = 0; i < 40; ++i) {
    EXPECT_EQ(stream.Bits(i), stream.Group(i / 4)[i % 4]);
  }
}

TEST(RandomStream, UniformHasTheMomentsOfTheUniformDistribution) {
  const RandomStream stream({.seed = 5});
  const int draws = 100000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < draws; ++i) {
    const double x = stream.Uniform(static_cast<uint64_t>(i));
    ASSERT_GE(x, 0.0);
    ASSERT_LT(x, 1.0);
    sum += x;
    squares += x * x;
  }
  // Six standard errors.
  EXPECT_NEAR(sum / draws, 0.5, 6 * std::sqrt(1.0 / 12 / draws));
  EXPECT_NEAR(squares / draws, 1.0 / 3, 6 * std::sqrt(4.0 / 45 / draws));
}

TEST(RandomStream, BelowStaysBelowAndReachesEveryValue) {
  const RandomStream stream({.seed = 6});
  std::set<uint64_t> seen;
  for (uint64_t i = 0; i < 1000; ++i) {
    const uint64_t x = stream.Below(i, 7);
    ASSERT_LT(x, 7U);
    seen.insert(x);
  }
  EXPECT_EQ(seen.size(), 7U);
}

TEST(RandomStream, PermutationHoldsEveryIndexOnceAndDependsOnTheKey) {
  const std::vector<int64_t> a = RandomStream({.seed = 1}).Permutation(1000);
  const std::vector<int64_t> b = RandomStream({.seed = 2}).Permutation(1000);
  EXPECT_NE(a, b);
  EXPECT_EQ(std::set<int64_t>(a.begin(), a.end()).size(), 1000U);
  EXPECT_EQ(*std::max_element(a.begin(), a.end()), 999);
  EXPECT_TRUE(RandomStream({.seed = 1}).Permutation(0).empty());
}

}  // namespace
}  // namespace splitft
