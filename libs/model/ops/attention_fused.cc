#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "libs/model/ops/attention.h"

// Attention on accelerators: LibTorch chooses the kernel (cuDNN, flash, memory-efficient), and its autograd knows each
// one's backward. The graph spans one call and is freed with the tape.
namespace splitft::model {
namespace {

// The rows of one run as [B, heads, T, S], a leaf of its own graph.
at::Tensor Leaf(const at::Tensor& x_NE, int64_t row, const SequenceRun& run, int64_t head_size, bool gradient) {
  return x_NE.detach()
      .narrow(0, row, run.count * run.length)
      .unflatten(1, {-1, head_size})
      .unflatten(0, {run.count, run.length})
      .transpose(1, 2)
      .set_requires_grad(gradient);
}

// Rows of [N, E] in [B, heads, T, S].
at::Tensor Rows(const at::Tensor& x_BHTS) { return x_BHTS.transpose(1, 2).flatten(2, 3).flatten(0, 1); }

std::optional<at::Tensor> Band(const SequenceRun& run, std::optional<int64_t> window, at::Device device) {
  if (!window.has_value() || run.length <= *window) {
    return std::nullopt;  // is_causal says it all
  }
  const at::Tensor position = at::arange(run.length, at::TensorOptions(device).dtype(at::kLong));
  const at::Tensor distance = position.unsqueeze(1) - position.unsqueeze(0);
  return (distance >= 0) & (distance < *window);
}

}  // namespace

at::Tensor Attention::ForwardFused(const QueryKeyValue& inputs, const BatchLayout& layout, AttentionTape* tape) const {
  const at::AutoGradMode with_graph(tape != nullptr);
  const bool grouped = shape_.heads != shape_.key_value_heads;
  at::Tensor out_NE = at::empty(inputs.q.sizes(), inputs.q.options());
  int64_t row = 0;
  for (const BatchPart& part : layout.parts) {
    for (const SequenceRun& run : part.runs) {
      const auto leaf = [&](const at::Tensor& x) { return Leaf(x, row, run, shape_.head_size, tape != nullptr); };
      const QueryKeyValue leaves = {leaf(inputs.q), leaf(inputs.k), leaf(inputs.v)};
      const std::optional<at::Tensor> band = Band(run, shape_.window, inputs.q.device());
      const at::Tensor out_BHTS = at::scaled_dot_product_attention(leaves.q, leaves.k, leaves.v, band, 0.0,
                                                                   !band.has_value(), std::nullopt, grouped);
      out_NE.narrow(0, row, run.count * run.length).copy_(Rows(out_BHTS.detach()));
      if (tape != nullptr) {
        tape->leaves.push_back(leaves);
        tape->outputs.push_back(out_BHTS);
      }
      row += run.count * run.length;
    }
  }
  return out_NE;
}

void Attention::BackwardFused(const at::Tensor& grad_NE, const AttentionTape& tape, const BatchLayout& layout,
                              const QueryKeyValue& grads) const {
  int64_t row = 0;
  size_t index = 0;
  for (const BatchPart& part : layout.parts) {
    for (const SequenceRun& run : part.runs) {
      const QueryKeyValue& leaves = tape.leaves[index];
      const at::Tensor grad_BHTS = Leaf(grad_NE, row, run, shape_.head_size, false);
      const std::vector<at::Tensor> found =
          torch::autograd::grad({tape.outputs[index]}, {leaves.q, leaves.k, leaves.v}, {grad_BHTS});
      const int64_t rows = run.count * run.length;
      grads.q.narrow(0, row, rows).copy_(Rows(found[0]));
      grads.k.narrow(0, row, rows).copy_(Rows(found[1]));
      grads.v.narrow(0, row, rows).copy_(Rows(found[2]));
      row += rows;
      ++index;
    }
  }
}

}  // namespace splitft::model
