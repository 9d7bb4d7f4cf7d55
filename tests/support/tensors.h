#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "libs/base/random.h"

namespace splitft {

// Numbers uniform in [-1, 1), the same for the same name, as a double tensor on the CPU.
inline at::Tensor RandomTensor(std::string_view name, const std::vector<int64_t>& shape) {
  const RandomStream stream({HashName(name), RandomPurpose::kSampling});
  at::Tensor tensor = at::empty(shape, at::kDouble);
  auto* data = tensor.data_ptr<double>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    data[i] = 2 * stream.UniformDouble(static_cast<uint64_t>(i)) - 1;
  }
  return tensor;
}

// |actual - expected| / |expected|, in double.
inline double RelativeError(const at::Tensor& actual, const at::Tensor& expected) {
  const at::Tensor wide = expected.to(at::kDouble);
  return actual.to(at::kDouble).sub(wide).norm().item<double>() / wide.norm().item<double>();
}

// The gradient of `loss` by the double tensor `x`, by central differences. `loss` sees each change in place.
inline at::Tensor NumericalGradient(const at::Tensor& x, const std::function<double()>& loss) {
  constexpr double kStep = 1e-5;
  at::Tensor gradient = at::empty(x.sizes(), at::kDouble);
  auto* value = x.data_ptr<double>();
  auto* slope = gradient.data_ptr<double>();
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double kept = value[i];
    value[i] = kept + kStep;
    const double above = loss();
    value[i] = kept - kStep;
    const double below = loss();
    value[i] = kept;
    slope[i] = (above - below) / (2 * kStep);
  }
  return gradient;
}

// sum(weights * x): a loss whose gradient by x is `weights`.
inline double Weigh(const at::Tensor& weights, const at::Tensor& x) { return x.mul(weights).sum().item<double>(); }

}  // namespace splitft
