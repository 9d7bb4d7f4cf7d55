#include "libs/model/loss_head.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <utility>

#include "libs/model/ops/cross_entropy.h"

namespace splitft::model {
namespace {

// On the CPU just below glibc's largest mmap threshold (32 MiB): a chunk's logits come from the heap again and again,
// instead of as fresh pages that the kernel must clear each time.
constexpr int64_t kCpuChunkBytes = int64_t{31} << 20;
constexpr int64_t kGpuChunkBytes = int64_t{256} << 20;

at::Tensor Normalise(const Norm& norm, const at::Tensor& x_ND) {
  return std::visit([&](const auto& op) { return op.Forward(x_ND); }, norm);
}

}  // namespace

LinearLossHead::LinearLossHead(Norm norm, at::Tensor head_VD)
    : norm_(std::move(norm)), vocabulary_size_(head_VD.defined() ? head_VD.size(0) : 0), head_VD_(std::move(head_VD)) {}

LossHead::Result LinearLossHead::Loss(const at::Tensor& hidden_ND, const at::Tensor& labels_N,
                                      bool need_gradient) const {
  Result result;
  const at::Tensor labels = labels_N.to(hidden_ND.device());
  const at::Tensor kept = at::nonzero(labels.ne(kIgnoredLabel)).squeeze(1);
  result.loss_tokens = kept.size(0);
  const bool all = result.loss_tokens == hidden_ND.size(0);
  if (result.loss_tokens > 0) {
    const at::Tensor rows_ND = all ? hidden_ND : hidden_ND.index_select(0, kept);
    const at::Tensor normal_ND = Normalise(norm_, rows_ND);
    at::Tensor grad_ND = need_gradient ? at::empty_like(normal_ND) : at::Tensor();
    result.loss_sum = ChunkedLoss(normal_ND, all ? labels : labels.index_select(0, kept), grad_ND);
    if (need_gradient) {
      result.grad_hidden_ND = std::visit([&](const auto& op) { return op.Backward(grad_ND, rows_ND); }, norm_);
    }
  }
  if (need_gradient && !all) {
    at::Tensor spread_ND = at::zeros_like(hidden_ND);
    if (result.loss_tokens > 0) {
      spread_ND.index_copy_(0, kept, result.grad_hidden_ND);
    }
    result.grad_hidden_ND = spread_ND;
  }
  return result;
}

double LinearLossHead::ChunkedLoss(const at::Tensor& normal_ND, const at::Tensor& labels_N,
                                   const at::Tensor& grad_ND) const {
  const int64_t rows = normal_ND.size(0);
  const int64_t chunk_bytes = normal_ND.is_cpu() ? kCpuChunkBytes : kGpuChunkBytes;
  const int64_t most = std::max<int64_t>(1, chunk_bytes / (vocabulary_size_ * normal_ND.element_size()));
  const int64_t chunks = (rows + most - 1) / most;
  const int64_t chunk = (rows + chunks - 1) / chunks;  // evened: a short last one would read the head for a few rows
  double loss = 0;
  for (int64_t first = 0; first < rows; first += chunk) {
    const int64_t count = std::min(chunk, rows - first);
    at::Tensor logits_NV = head_VD_.Apply(normal_ND.narrow(0, first, count));
    loss += CrossEntropy(labels_N.narrow(0, first, count), grad_ND.defined(), &logits_NV);
    if (grad_ND.defined()) {
      grad_ND.narrow(0, first, count).copy_(head_VD_.ApplyTransposed(logits_NV));
    }
  }
  return loss;
}

at::Tensor LinearLossHead::Logits(const at::Tensor& hidden_ND) const {
  return head_VD_.Apply(Normalise(norm_, hidden_ND)).to(at::kFloat);
}

}  // namespace splitft::model
