#include "libs/model/ops/layer_norm.h"

#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>

#include <array>
#include <tuple>
#include <utility>

#include "libs/model/ops/cpu_kernel.h"

namespace splitft::model {

LayerNorm::LayerNorm(at::Tensor weight_D, at::Tensor bias_D, double epsilon)
    : weight_D_(std::move(weight_D)), bias_D_(std::move(bias_D)), epsilon_(epsilon) {}

at::Tensor LayerNorm::Forward(const at::Tensor& x_ND) const {
  if (HasCpuKernel(x_ND)) {
    return ForwardCpu(x_ND.contiguous());
  }
  return std::get<0>(at::native_layer_norm(x_ND, weight_D_.sizes(), weight_D_, bias_D_, epsilon_));
}

at::Tensor LayerNorm::Backward(const at::Tensor& grad_ND, const at::Tensor& x_ND, const at::Tensor& sum_ND) const {
  if (HasCpuKernel(x_ND)) {
    return BackwardCpu(grad_ND.contiguous(), x_ND.contiguous(), sum_ND);
  }
  const auto [y, mean, deviation] = at::native_layer_norm(x_ND, weight_D_.sizes(), weight_D_, bias_D_, epsilon_);
  at::Tensor grad_x_ND = std::get<0>(at::native_layer_norm_backward(grad_ND, x_ND, weight_D_.sizes(), mean, deviation,
                                                                    weight_D_, bias_D_, {true, false, false}));
  return sum_ND.defined() ? grad_x_ND.add_(sum_ND) : grad_x_ND;
}

}  // namespace splitft::model
