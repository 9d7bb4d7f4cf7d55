#pragma once

#include <ATen/core/Tensor.h>

// Shapes: N rows, D columns.
namespace splitft::model {

// Root mean square normalisation with a frozen weight (Zhang, Sennrich 2019), as Hugging Face computes it: in fp32,
// cast to the tensor's type, then multiplied by the weight. Backward needs the input only.
class RmsNorm {
 public:
  RmsNorm(at::Tensor weight_D, double epsilon);

  at::Tensor Forward(const at::Tensor& x_ND) const;
  // Gradient by `x_ND`, plus `sum_ND` (the residual branch's gradient; may be undefined).
  at::Tensor Backward(const at::Tensor& grad_ND, const at::Tensor& x_ND, const at::Tensor& sum_ND = {}) const;

 private:
  at::Tensor ForwardCpu(const at::Tensor& x_ND) const;
  at::Tensor BackwardCpu(const at::Tensor& grad_ND, const at::Tensor& x_ND, const at::Tensor& sum_ND) const;

  at::Tensor weight_D_;
  double epsilon_;
};

}  // namespace splitft::model
