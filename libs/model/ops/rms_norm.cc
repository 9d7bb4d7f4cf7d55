#include "libs/model/ops/rms_norm.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/rsqrt.h>

#include <utility>

#include "libs/model/ops/cpu_kernel.h"

namespace splitft::model {
namespace {

// At least fp32.
at::ScalarType Accumulator(const at::Tensor& x) { return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }

}  // namespace

RmsNorm::RmsNorm(at::Tensor weight_D, double epsilon) : weight_D_(std::move(weight_D)), epsilon_(epsilon) {}

at::Tensor RmsNorm::Forward(const at::Tensor& x_ND) const {
  if (HasCpuKernel(x_ND)) {
    return ForwardCpu(x_ND.contiguous());
  }
  const at::Tensor x = x_ND.to(Accumulator(x_ND));
  const at::Tensor inverse = at::mean(x * x, {-1}, /*keepdim=*/true).add_(epsilon_).rsqrt_();
  return at::mul(weight_D_, at::mul(x, inverse).to(x_ND.scalar_type()));
}

at::Tensor RmsNorm::Backward(const at::Tensor& grad_ND, const at::Tensor& x_ND, const at::Tensor& sum_ND) const {
  if (HasCpuKernel(x_ND)) {
    return BackwardCpu(grad_ND.contiguous(), x_ND.contiguous(), sum_ND);
  }
  const at::Tensor x = x_ND.to(Accumulator(x_ND));
  const at::Tensor inverse = at::mean(x * x, {-1}, /*keepdim=*/true).add_(epsilon_).rsqrt_();
  const at::Tensor normal = x * inverse;
  const at::Tensor g = grad_ND.to(x.scalar_type()) * weight_D_;
  at::Tensor grad_x = (g - normal * at::mean(g * normal, {-1}, /*keepdim=*/true)) * inverse;
  if (sum_ND.defined()) {
    grad_x.add_(sum_ND);
  }
  return grad_x.to(x_ND.scalar_type());
}

}  // namespace splitft::model
