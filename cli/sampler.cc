#include "cli/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace splitft::cli {

int32_t SampleToken(std::span<const float> logits, const SamplingOptions& options, double uniform) {
  if (options.temperature <= 0) {
    return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&logits](int32_t a, int32_t b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  });
  if (options.top_k > 0) {
    order.resize(std::min(order.size(), static_cast<size_t>(options.top_k)));
  }
  const double highest = logits[static_cast<size_t>(order[0])];
  std::vector<double> weights;
  double sum = 0;
  for (const int32_t token : order) {
    weights.push_back(std::exp((logits[static_cast<size_t>(token)] - highest) / options.temperature));
    sum += weights.back();
  }
  double kept = 0;
  size_t count = 0;
  while (count < weights.size() && (count == 0 || kept < options.top_p * sum)) {
    kept += weights[count++];
  }
  double rest = uniform * kept;
  for (size_t i = 0; i < count; ++i) {
    rest -= weights[i];
    if (rest < 0) {
      return order[i];
    }
  }
  return order[count - 1];
}

}  // namespace splitft::cli
