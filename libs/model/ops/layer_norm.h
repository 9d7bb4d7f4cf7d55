#pragma once

#include <ATen/core/Tensor.h>

// Shapes: N rows, D columns.
namespace splitft::model {

// Layer normalisation with frozen weights (Ba, Kiros, Hinton 2016), computed in fp32. Backward needs the input only:
// the row's mean and deviation cost less to compute again than to keep and read.
class LayerNorm {
 public:
  LayerNorm(at::Tensor weight_D, at::Tensor bias_D, double epsilon);

  at::Tensor Forward(const at::Tensor& x_ND) const;
  // Gradient by `x_ND`, plus `sum_ND` (the residual branch's gradient; may be undefined).
  at::Tensor Backward(const at::Tensor& grad_ND, const at::Tensor& x_ND, const at::Tensor& sum_ND = {}) const;

 private:
  at::Tensor ForwardCpu(const at::Tensor& x_ND) const;
  at::Tensor BackwardCpu(const at::Tensor& grad_ND, const at::Tensor& x_ND, const at::Tensor& sum_ND) const;

  at::Tensor weight_D_;
  at::Tensor bias_D_;
  double epsilon_;
};

}  // namespace splitft::model
