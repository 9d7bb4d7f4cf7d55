#pragma once

#include <cstddef>
#include <vector>

#include "libs/base/random.h"

namespace splitft::text {

// One draw from the symmetric Dirichlet distribution Dir(alpha, ..., alpha) over `count` >= 1 outcomes, alpha > 0:
// weights
// >= 0 that add up to 1. Gamma variates by Marsaglia and Tsang ("A simple method for generating gamma variables", ACM
// TOMS 26(3), 2000), normalised in logarithms so that a small alpha does not underflow. A function of (alpha, count,
// key); `key.client` is used for the outcomes.
std::vector<double> SampleDirichlet(double alpha, size_t count, RandomKey key);

// `total` items over outcomes in proportion to `weights` (>= 0, not all 0), by largest remainder, ties to the first.
std::vector<size_t> Apportion(size_t total, const std::vector<double>& weights);

}  // namespace splitft::text
