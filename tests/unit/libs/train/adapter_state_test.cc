#include "libs/train/adapter_state.h"

#include <ATen/ops/empty.h>

#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace splitft::train {
namespace {

at::Tensor TensorOf(const std::vector<float>& values) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::kFloat);
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<float>());
  return tensor;
}

// AdamW as Loshchilov and Hutter's Algorithm 2 has it (schedule multiplier folded into the rate), in double.
struct ReferenceAdamW {
  std::vector<double> p, m, v;
  int t = 0;
  void Step(const std::vector<double>& g, double rate, const spec::Optimizer& o) {
    ++t;
    for (size_t i = 0; i < p.size(); ++i) {
      p[i] -= rate * o.weight_decay * p[i];
      m[i] = o.beta1 * m[i] + (1 - o.beta1) * g[i];
      v[i] = o.beta2 * v[i] + (1 - o.beta2) * g[i] * g[i];
      const double mhat = m[i] / (1 - std::pow(o.beta1, t));
      const double vhat = v[i] / (1 - std::pow(o.beta2, t));
      p[i] -= rate * mhat / (std::sqrt(vhat) + o.epsilon);
    }
  }
};

TEST(AdapterState, StepsAsAdamWOnTheClippedMeanGradient) {
  const spec::Optimizer optimizer{.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-6, .weight_decay = 0.1};
  const std::vector<float> initial = {0.5F, -1.0F, 2.0F};
  AdapterState state(initial, {.begin = 0, .size = 3}, optimizer, at::kCPU);
  ReferenceAdamW reference{.p = {0.5, -1.0, 2.0}, .m = {0, 0, 0}, .v = {0, 0, 0}};
  const double tokens = 4;
  for (int step = 0; step < 5; ++step) {
    const std::vector<float> sum = {4.0F + step, -8.0F, 1.0F};
    at::Tensor gradient = TensorOf(sum);
    const absl::StatusOr<AdapterState::Update> update = state.Step(&gradient, tokens, 0.01, 1.5);
    ASSERT_TRUE(update.ok()) << update.status();
    std::vector<double> mean = {sum[0] / tokens, sum[1] / tokens, sum[2] / tokens};
    const double norm = std::hypot(mean[0], mean[1], mean[2]);
    EXPECT_NEAR(update->gradient_norm, norm, 1e-5);
    for (double& g : mean) {
      g *= std::min(1.0, 1.5 / (norm + 1e-6));
    }
    reference.Step(mean, 0.01, optimizer);
    EXPECT_NEAR(update->parameter_norm, std::hypot(reference.p[0], reference.p[1], reference.p[2]), 1e-5);
  }
  EXPECT_EQ(state.steps_done(), 5);
  const std::vector<float> found = state.Snapshot();
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], reference.p[i], 1e-6) << i;
  }
}

TEST(AdapterState, ASmallGradientIsNotClipped) {
  AdapterState clipped(std::vector<float>{1.0F}, {.begin = 0, .size = 1}, {}, at::kCPU);
  AdapterState free(std::vector<float>{1.0F}, {.begin = 0, .size = 1}, {}, at::kCPU);
  at::Tensor a = TensorOf({0.5F});
  at::Tensor b = TensorOf({0.5F});
  ASSERT_TRUE(clipped.Step(&a, 1, 0.1, 1.0).ok());
  ASSERT_TRUE(free.Step(&b, 1, 0.1, 0).ok());
  EXPECT_EQ(clipped.Snapshot(), free.Snapshot());
}

TEST(AdapterState, RefusesWhatIsNotFiniteAndStaysAsItWas) {
  AdapterState state(std::vector<float>{1.0F, 2.0F}, {.begin = 0, .size = 2}, {}, at::kCPU);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    at::Tensor gradient = TensorOf({1.0F, bad});
    EXPECT_EQ(state.Step(&gradient, 1, 0.1, 1).status().code(), absl::StatusCode::kFailedPrecondition);
  }
  EXPECT_EQ(state.Snapshot(), (std::vector<float>{1.0F, 2.0F}));
  EXPECT_EQ(state.steps_done(), 0);
}

TEST(AdapterState, WhatIsNotTrainableIsNotEvenDecayed) {
  AdapterState state(std::vector<float>{1.0F, 1.0F, 1.0F}, {.begin = 1, .size = 1}, {.weight_decay = 0.5}, at::kCPU);
  at::Tensor gradient = TensorOf({7.0F, 3.0F, 7.0F});
  const absl::StatusOr<AdapterState::Update> update = state.Step(&gradient, 1, 0.1, 1);
  ASSERT_TRUE(update.ok()) << update.status();
  EXPECT_NEAR(update->gradient_norm, 3.0, 1e-6);
  const std::vector<float> found = state.Snapshot();
  EXPECT_EQ(found[0], 1.0F);
  EXPECT_LT(found[1], 0.96F);
  EXPECT_EQ(found[2], 1.0F);
}

TEST(AdapterState, NoTokenWithALossIsAnErrorNotAZero) {
  AdapterState state(std::vector<float>{1.0F}, {.begin = 0, .size = 1}, {}, at::kCPU);
  at::Tensor gradient = TensorOf({0.0F});
  const absl::Status status = state.Step(&gradient, 0, 0.1, 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("every label of every client is masked"));
}

}  // namespace
}  // namespace splitft::train
