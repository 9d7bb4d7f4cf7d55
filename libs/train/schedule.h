#pragma once

#include <cstdint>

#include "libs/spec/job.h"

namespace splitft::train {

// The learning rate of step `step` (0-based) of `total_steps`: linear warm-up from 0, then constant, linear to 0, or
// half a cosine to 0; the formulas of transformers' get_{constant,linear,cosine}_schedule_with_warmup.
double LearningRate(const spec::Training& training, int64_t step, int64_t total_steps);

}  // namespace splitft::train
