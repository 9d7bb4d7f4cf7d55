#include <gtest/gtest.h>

#include <cmath>

#include "libs/model/ops/rope.h"
#include "tests/support/tensors.h"

namespace splitft::model {
namespace {

const BatchLayout kLayout = {{{{{2, 3}, {1, 5}}}, {{{1, 4}}}}};
const std::vector<int64_t> kPositions = {0, 1, 2, 0, 1, 2, 0, 1, 2, 3, 4, 0, 1, 2, 3};

TEST(OpsRope, PositionsStartAgainInEachSequence) { EXPECT_EQ(Positions(kLayout), kPositions); }

// Each pair (x[s], x[s + S/2]) turned by position * theta^(-2s/S).
at::Tensor Turned(const at::Tensor& x, double theta) {
  at::Tensor y = x.clone();
  const int64_t size = x.size(2);
  const auto in = x.accessor<double, 3>();
  auto out = y.accessor<double, 3>();
  for (int64_t n = 0; n < x.size(0); ++n) {
    for (int64_t h = 0; h < x.size(1); ++h) {
      for (int64_t s = 0; s < size / 2; ++s) {
        const double angle = static_cast<double>(kPositions[static_cast<size_t>(n)]) *
                             std::pow(theta, -2.0 * static_cast<double>(s) / static_cast<double>(size));
        const double a = in[n][h][s];
        const double b = in[n][h][s + size / 2];
        out[n][h][s] = a * std::cos(angle) - b * std::sin(angle);
        out[n][h][s + size / 2] = b * std::cos(angle) + a * std::sin(angle);
      }
    }
  }
  return y;
}

TEST(OpsRope, TurnsEachPairByItsAngle) {
  for (const int64_t size : {6, 32, 40}) {
    const at::Tensor x = RandomTensor("x", {15, 2, size});
    const Rope rope({.theta = 500.0}, size);
    const at::Tensor expected = Turned(x, 500.0);
    for (const auto& [type, tolerance] :
         {std::pair(at::kDouble, 1e-6), std::pair(at::kFloat, 1e-6), std::pair(at::kBFloat16, 1e-2)}) {
      at::Tensor turned = x.to(type, false, /*copy=*/true);
      rope.Rotate(kLayout, &turned);
      EXPECT_LT(RelativeError(turned, expected), tolerance) << type << " " << size;
      rope.RotateBack(kLayout, &turned);
      EXPECT_LT(RelativeError(turned, x), tolerance) << type << " " << size;
    }
  }
}

TEST(OpsRope, LinearScalingDividesEveryFrequency) {
  const std::vector<float> plain = RopeFrequencies({.theta = 10000.0}, 8);
  const std::vector<float> scaled =
      RopeFrequencies({.theta = 10000.0, .scaling = RopeConfig::Scaling::kLinear, .factor = 4.0}, 8);
  for (size_t s = 0; s < plain.size(); ++s) {
    EXPECT_FLOAT_EQ(scaled[s], plain[s] / 4);
  }
}

// Short waves as they were, long ones divided by the factor, and those between in between.
TEST(OpsRope, Llama3ScalingSlowsLongWaves) {
  RopeConfig config = {.theta = 500000.0, .scaling = RopeConfig::Scaling::kLlama3, .factor = 8.0};
  config.original_max_positions = 8192;
  const std::vector<float> plain = RopeFrequencies({.theta = 500000.0}, 128);
  const std::vector<float> scaled = RopeFrequencies(config, 128);
  EXPECT_EQ(scaled.front(), plain.front());
  EXPECT_FLOAT_EQ(scaled.back(), plain.back() / 8);
  int between = 0;
  for (size_t s = 0; s < plain.size(); ++s) {
    const double ratio = static_cast<double>(scaled[s]) / static_cast<double>(plain[s]);
    EXPECT_GE(ratio, 0.125 - 1e-6);
    EXPECT_LE(ratio, 1.0);
    between += ratio > 0.126 && ratio < 0.999 ? 1 : 0;
  }
  EXPECT_GT(between, 3);
}

}  // namespace
}  // namespace splitft::model
