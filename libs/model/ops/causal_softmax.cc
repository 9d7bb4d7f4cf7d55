#include "libs/model/ops/causal_softmax.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sum.h>

#include <limits>

#include "libs/model/ops/causal_softmax_cpu.h"
#include "libs/model/ops/cpu_kernel.h"

namespace splitft::model {
namespace {

at::ScalarType Accumulator(const at::Tensor& x) { return x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }

}  // namespace

void CausalSoftmax(const ScoreBlock& block, double scale, at::Tensor* scores_HRK) {
  if (HasCpuKernel(*scores_HRK)) {
    CausalSoftmaxCpu(block, scale, scores_HRK);
    return;
  }
  const auto options = scores_HRK->options().dtype(at::kLong);
  const at::Tensor query = at::arange(block.queries, options).add_(block.first_query).unsqueeze(1);
  const at::Tensor key = at::arange(block.keys, options).add_(block.first_key).unsqueeze(0);
  at::Tensor hidden_QK = key > query;
  if (block.window.has_value()) {
    hidden_QK = hidden_QK | (key <= query - *block.window);
  }
  const int64_t groups = scores_HRK->size(1) / block.queries;
  const at::Tensor hidden_RK = hidden_QK.repeat({groups, 1});
  const at::Tensor scaled = scores_HRK->to(Accumulator(*scores_HRK)).mul(scale);
  scores_HRK->copy_(at::softmax(scaled.masked_fill(hidden_RK, -std::numeric_limits<double>::infinity()), -1));
}

void CausalSoftmaxBackward(const at::Tensor& probabilities_HRK, double scale, at::Tensor* grad_HRK) {
  if (HasCpuKernel(*grad_HRK)) {
    CausalSoftmaxBackwardCpu(probabilities_HRK, scale, grad_HRK);
    return;
  }
  const at::Tensor p = probabilities_HRK.to(Accumulator(probabilities_HRK));
  const at::Tensor g = grad_HRK->to(p.scalar_type());
  grad_HRK->copy_(p * (g - at::sum(p * g, {-1}, /*keepdim=*/true)) * scale);
}

}  // namespace splitft::model
