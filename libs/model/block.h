#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "libs/model/adapter_layout.h"
#include "libs/model/batch_layout.h"

// Shapes: N tokens of a ragged batch, D model, I in, O out, R rank.
namespace splitft::model {

// One block's adapters, ready to compute with: per slot of the block A [R, I] and B [O, R] in the compute dtype and
// device.
class BlockAdapters {
 public:
  BlockAdapters() = default;  // none
  // `block_flat`: this block's fp32 range of the flat vector, on any device; copied and cast. `dropout` in [0, 1),
  // `seed` the job's.
  BlockAdapters(const AdapterLayout& layout, int block, const at::Tensor& block_flat, const at::TensorOptions& options);

  struct Pair {
    const AdapterSlot* slot = nullptr;
    at::Tensor a_RI;
    at::Tensor b_OR;
  };
  // The adapter of module `module` (index into LinearModules), or nullptr where it has none.
  const Pair* Find(int module) const;
  const std::vector<Pair>& pairs() const { return pairs_; }
  int64_t flat_begin() const { return flat_begin_; }

 private:
  std::vector<Pair> pairs_;
  int64_t flat_begin_ = 0;
};

// What every pass over a block needs beside the hidden state.
struct BlockContext {
  const BatchLayout& layout;
  const BlockAdapters& adapters;
  double dropout = 0;  // LoRA dropout; 0 in evaluation
  uint64_t seed = 0;   // the job's
};

// What Backward needs of a Forward. Opaque; one use.
class BlockTape {
 public:
  virtual ~BlockTape() = default;
};

// One decoder block with frozen base weights. Immutable after loading, so several threads may use it.
// The same block computes the same bits wherever it runs, given the same machine type and thread count: nothing in here
// depends on cut, client or process.
class Block {
 public:
  virtual ~Block() = default;

  // hidden_ND -> hidden_ND. `tape` (may be null: no backward will come) receives what Backward needs.
  virtual at::Tensor Forward(const at::Tensor& hidden_ND, const BlockContext& context,
                             std::unique_ptr<BlockTape>* tape) const = 0;

  // Gradient of the loss by the block's output -> by its input. Adds the adapters' gradients to `flat_grad` (fp32, this
  // block's range of the flat vector, zero-based). With `need_input_gradient` false returns an undefined tensor and
  // saves the work.
  virtual at::Tensor Backward(const at::Tensor& grad_ND, const BlockContext& context, std::unique_ptr<BlockTape> tape,
                              at::Tensor* flat_grad, bool need_input_gradient) const = 0;
};

}  // namespace splitft::model
