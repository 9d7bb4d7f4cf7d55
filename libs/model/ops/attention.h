#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "libs/model/batch_layout.h"

// Shapes: N tokens of a ragged batch, T tokens of one sequence, H query heads, J key/value heads, S head size.
namespace splitft::model {

// Queries [N, H S], keys and values [N, J S]; or their gradients. Rows may be strided (views of one wider tensor).
struct QueryKeyValue {
  at::Tensor q;
  at::Tensor k;
  at::Tensor v;
};

// What Attention::Backward needs beside its inputs; filled on devices where the fused kernels keep something. One use.
struct AttentionTape {
  QueryKeyValue inputs;
  std::vector<QueryKeyValue> leaves;  // per run
  std::vector<at::Tensor> outputs;    // per run, with their graphs
};

// Causal scaled dot-product attention (Vaswani et al. 2017) within each sequence, with grouped heads (Ainslie et al.
// 2023) and an optional sliding window. Keys and values are never repeated, and nothing of size T x T outlives a call.
// On the CPU, blocks of queries by matrix products, recomputed in Backward; elsewhere LibTorch's fused attention.
class Attention {
 public:
  struct Shape {
    int64_t heads = 0;
    int64_t key_value_heads = 0;
    int64_t head_size = 0;
    std::optional<int64_t> window;  // tokens a query sees, itself included
  };
  explicit Attention(const Shape& shape) : shape_(shape) {}

  // -> [N, H S], contiguous. `tape` may be null.
  at::Tensor Forward(const QueryKeyValue& inputs, const BatchLayout& layout, AttentionTape* tape) const;
  // Writes the gradients by the inputs into `grads`, whose tensors have the inputs' shapes.
  void Backward(const at::Tensor& grad_NE, const AttentionTape& tape, const BatchLayout& layout,
                const QueryKeyValue& grads) const;

 private:
  at::Tensor ForwardFused(const QueryKeyValue& inputs, const BatchLayout& layout, AttentionTape* tape) const;
  void BackwardFused(const at::Tensor& grad_NE, const AttentionTape& tape, const BatchLayout& layout,
                     const QueryKeyValue& grads) const;

  Shape shape_;
};

}  // namespace splitft::model
