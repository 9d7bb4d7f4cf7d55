#include "libs/model/ops/cross_entropy.h"

#include <ATen/ops/gather.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/ones_like.h>

#include "libs/model/ops/cpu_kernel.h"
#include "libs/model/ops/cross_entropy_cpu.h"

namespace splitft::model {

double CrossEntropy(const at::Tensor& labels_N, bool need_gradient, at::Tensor* logits_NV) {
  if (HasCpuKernel(*logits_NV)) {
    return CrossEntropyCpu(labels_N, need_gradient, logits_NV);
  }
  const at::ScalarType wide = logits_NV->scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  at::Tensor log_p_NV = at::log_softmax(*logits_NV, -1, wide);
  const at::Tensor label_N1 = labels_N.unsqueeze(1);
  const at::Tensor log_p_N1 = at::gather(log_p_NV, 1, label_N1);
  const double loss = -log_p_N1.sum(at::kDouble).item<double>();
  if (need_gradient) {
    logits_NV->copy_(log_p_NV.exp_().scatter_add_(1, label_N1, at::ones_like(log_p_N1).neg_()));
  }
  return loss;
}

}  // namespace splitft::model
