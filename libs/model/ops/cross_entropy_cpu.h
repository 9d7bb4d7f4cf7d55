#pragma once

#include <ATen/core/Tensor.h>

namespace splitft::model {

// cross_entropy.h for contiguous fp32 and bf16 logits on the CPU.
double CrossEntropyCpu(const at::Tensor& labels_N, bool need_gradient, at::Tensor* logits_NV);

}  // namespace splitft::model
