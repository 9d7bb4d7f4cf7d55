#include "libs/text/dirichlet.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace splitft::text {
namespace {

// Successive draws of one stream.
class Draws {
 public:
  explicit Draws(const RandomKey& key) : stream_(key) {}

  // In (0, 1], so that it has a logarithm.
  double Uniform() { return 1.0 - stream_.UniformDouble(next_++); }
  // Box and Muller, 1958.
  double Normal() {
    const double radius = std::sqrt(-2.0 * std::log(Uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * Uniform());
  }

 private:
  RandomStream stream_;
  uint64_t next_ = 0;
};

// The logarithm of a Gamma(shape, 1) variate, shape >= 1.
double LogGammaVariate(double shape, Draws& draws) {
  const double d = shape - 1.0 / 3.0;
  const double c = 1.0 / std::sqrt(9.0 * d);
  while (true) {
    const double x = draws.Normal();
    const double root = 1.0 + c * x;
    if (root <= 0) {
      continue;
    }
    const double log_v = 3.0 * std::log(root);
    if (std::log(draws.Uniform()) < 0.5 * x * x + d - d * std::exp(log_v) + d * log_v) {
      return std::log(d) + log_v;
    }
  }
}

}  // namespace

std::vector<double> SampleDirichlet(double alpha, size_t count, RandomKey key) {
  std::vector<double> weights(count);
  for (size_t i = 0; i < count; ++i) {
    key.client = i;
    Draws draws(key);
    // Gamma(a) = Gamma(a + 1) U^(1/a): the method itself needs a shape of at least 1.
    weights[i] = LogGammaVariate(alpha + 1.0, draws) + std::log(draws.Uniform()) / alpha;
  }
  const double largest = *std::max_element(weights.begin(), weights.end());
  for (double& weight : weights) {
    weight = std::exp(weight - largest);
  }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) {
    weight /= sum;
  }
  return weights;
}

std::vector<size_t> Apportion(size_t total, const std::vector<double>& weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<size_t> counts(weights.size());
  std::vector<double> remainders(weights.size());
  size_t given = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const double exact = static_cast<double>(total) * (weights[i] / sum);
    counts[i] = std::min(static_cast<size_t>(exact), total - given);
    remainders[i] = exact - static_cast<double>(counts[i]);
    given += counts[i];
  }
  std::vector<size_t> order(weights.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return remainders[a] > remainders[b]; });
  for (size_t i = 0; given < total; i = (i + 1) % order.size()) {
    ++counts[order[i]];
    ++given;
  }
  return counts;
}

}  // namespace splitft::text
