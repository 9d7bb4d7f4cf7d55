#include "libs/train/schedule.h"

#include <cmath>
#include <numbers>

#include "gtest/gtest.h"

namespace splitft::train {
namespace {

spec::Training With(spec::Schedule schedule, int64_t warmup) {
  spec::Training training;
  training.learning_rate = 0.01;
  training.schedule = schedule;
  training.warmup_steps = warmup;
  return training;
}

TEST(LearningRate, WarmsUpLinearlyFromZero) {
  for (const auto schedule : {spec::Schedule::kConstant, spec::Schedule::kLinear, spec::Schedule::kCosine}) {
    const spec::Training training = With(schedule, 4);
    EXPECT_DOUBLE_EQ(LearningRate(training, 0, 10), 0.0);
    EXPECT_DOUBLE_EQ(LearningRate(training, 3, 10), 0.0075);
    EXPECT_DOUBLE_EQ(LearningRate(training, 4, 10), 0.01);
  }
}

TEST(LearningRate, ConstantStays) { EXPECT_DOUBLE_EQ(LearningRate(With(spec::Schedule::kConstant, 0), 99, 100), 0.01); }

TEST(LearningRate, LinearReachesZeroOneStepAfterTheLast) {
  const spec::Training training = With(spec::Schedule::kLinear, 2);
  EXPECT_DOUBLE_EQ(LearningRate(training, 6, 10), 0.005);
  EXPECT_DOUBLE_EQ(LearningRate(training, 9, 10), 0.01 / 8);
  EXPECT_DOUBLE_EQ(LearningRate(training, 10, 10), 0.0);
}

TEST(LearningRate, CosineIsHalfAWave) {
  const spec::Training training = With(spec::Schedule::kCosine, 0);
  EXPECT_DOUBLE_EQ(LearningRate(training, 0, 8), 0.01);
  EXPECT_NEAR(LearningRate(training, 4, 8), 0.005, 1e-15);
  EXPECT_NEAR(LearningRate(training, 2, 8), 0.005 * (1 + std::cos(std::numbers::pi / 4)), 1e-15);
}

}  // namespace
}  // namespace splitft::train
