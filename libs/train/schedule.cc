#include "libs/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace splitft::train {

double LearningRate(const spec::Training& training, int64_t step, int64_t total_steps) {
  const int64_t warmup = training.warmup_steps;
  if (step < warmup) {
    return training.learning_rate * static_cast<double>(step) / static_cast<double>(warmup);
  }
  const double progress =
      static_cast<double>(step - warmup) / static_cast<double>(std::max<int64_t>(1, total_steps - warmup));
  switch (training.schedule) {
    case spec::Schedule::kConstant:
      return training.learning_rate;
    case spec::Schedule::kLinear:
      return training.learning_rate * std::max(0.0, 1.0 - progress);
    case spec::Schedule::kCosine:
      return training.learning_rate * std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * progress)));
  }
  return training.learning_rate;
}

}  // namespace splitft::train
