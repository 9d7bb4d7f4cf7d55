#pragma once

#include <ATen/core/Tensor.h>

#include "libs/model/ops/causal_softmax.h"

namespace splitft::model {

// causal_softmax.h for contiguous fp32 and bf16 tensors on the CPU.
void CausalSoftmaxCpu(const ScoreBlock& block, double scale, at::Tensor* scores_HRK);
void CausalSoftmaxBackwardCpu(const at::Tensor& probabilities_HRK, double scale, at::Tensor* grad_HRK);

}  // namespace splitft::model
