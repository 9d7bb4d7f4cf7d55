#pragma once

#include <ATen/core/Tensor.h>

namespace splitft::model {

// SwiGlu and its backward for contiguous fp32 and bf16 tensors on the CPU. The latter overwrites `grad` with the
// gradient by `gate` and returns the one by `up`.
at::Tensor SwiGluCpu(const at::Tensor& gate, const at::Tensor& up);
at::Tensor SwiGluBackwardCpu(const at::Tensor& gate, const at::Tensor& up, at::Tensor* grad);

}  // namespace splitft::model
