#pragma once

#include <ATen/core/Tensor.h>

namespace splitft::model {

// ThinMatMul for a contiguous x_NI that has a CPU kernel.
at::Tensor ThinMatMulCpu(const at::Tensor& x_NI, const at::Tensor& w_RI);

// wide_NC^T thin_NR is added to `target`, contiguous fp32 [C, R], or [R, C] where `thin_first`. `wide_NC` is
// contiguous.
void AddThinProductCpu(const at::Tensor& wide_NC, const at::Tensor& thin_NR, bool thin_first, at::Tensor* target);

}  // namespace splitft::model
