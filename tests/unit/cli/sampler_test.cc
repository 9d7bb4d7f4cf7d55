#include "cli/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace splitft::cli {
namespace {

// Probabilities 0.5, 0.3, 0.2 at temperature 1, shuffled: token 1, then 2, then 0.
std::vector<float> Logits() { return {std::log(0.2F), std::log(0.5F), std::log(0.3F)}; }

TEST(SampleToken, GreedyTakesTheMostLikelyAndTheFirstOfEquals) {
  EXPECT_EQ(SampleToken(Logits(), {.temperature = 0}, 0.99), 1);
  EXPECT_EQ(SampleToken(std::vector<float>{1, 3, 3}, {.temperature = 0}, 0.99), 1);
}

TEST(SampleToken, DrawsInProportion) {
  const SamplingOptions plain{.temperature = 1};
  EXPECT_EQ(SampleToken(Logits(), plain, 0.0), 1);
  EXPECT_EQ(SampleToken(Logits(), plain, 0.499), 1);
  EXPECT_EQ(SampleToken(Logits(), plain, 0.501), 2);
  EXPECT_EQ(SampleToken(Logits(), plain, 0.799), 2);
  EXPECT_EQ(SampleToken(Logits(), plain, 0.801), 0);
  EXPECT_EQ(SampleToken(Logits(), plain, 0.999999), 0);
}

TEST(SampleToken, TopKKeepsTheLikeliest) {
  const SamplingOptions two{.temperature = 1, .top_k = 2};
  EXPECT_EQ(SampleToken(Logits(), two, 0.62), 1);  // 0.5 of 0.8
  EXPECT_EQ(SampleToken(Logits(), two, 0.63), 2);
  EXPECT_EQ(SampleToken(Logits(), two, 0.999), 2);
  EXPECT_EQ(SampleToken(Logits(), {.temperature = 1, .top_k = 99}, 0.999), 0);
}

TEST(SampleToken, TopPKeepsTheFewestThatReachIt) {
  EXPECT_EQ(SampleToken(Logits(), {.temperature = 1, .top_p = 0.6}, 0.999), 2);
  EXPECT_EQ(SampleToken(Logits(), {.temperature = 1, .top_p = 0.4}, 0.999), 1);
  EXPECT_EQ(SampleToken(Logits(), {.temperature = 1, .top_p = 0.0}, 0.999), 1);
}

TEST(SampleToken, ALowTemperatureSharpens) {
  EXPECT_EQ(SampleToken(Logits(), {.temperature = 0.01}, 0.999), 1);
  // At temperature 2 the likeliest has sqrt(0.5) / (sqrt(0.5) + sqrt(0.3) + sqrt(0.2)) = 0.4154.
  EXPECT_EQ(SampleToken(Logits(), {.temperature = 2}, 0.415), 1);
  EXPECT_EQ(SampleToken(Logits(), {.temperature = 2}, 0.416), 2);
}

TEST(SampleToken, NeverTakesWhatIsImpossible) {
  const std::vector<float> logits = {-std::numeric_limits<float>::infinity(), 0.0F,
                                     -std::numeric_limits<float>::infinity()};
  EXPECT_EQ(SampleToken(logits, {.temperature = 1}, 0.999999), 1);
}

}  // namespace
}  // namespace splitft::cli
