#pragma once

#include <ATen/core/Tensor.h>

namespace splitft::model {

// Gelu and GeluBackward for contiguous fp32 and bf16 tensors on the CPU; the latter multiplies `grad` in place.
at::Tensor GeluCpu(const at::Tensor& x);
void GeluBackwardCpu(const at::Tensor& x, at::Tensor* grad);

}  // namespace splitft::model
