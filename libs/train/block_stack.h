#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/model/adapter_layout.h"
#include "libs/model/block.h"
#include "libs/model/model.h"

// Shapes: N tokens, D model.
namespace splitft::train {

// Rows that enter a stack at one of its blocks: a client's hidden state at its cut.
struct StackEntry {
  int block = 0;  // in [first, last]; last: nothing to compute, the rows pass through
  at::Tensor hidden_ND;
  model::BatchPart part;
};

// What one forward pass left for its backward pass. Movable, one use.
struct StackTape {
  struct Layer {
    model::BatchLayout layout;
    std::unique_ptr<model::BlockTape> tape;
  };
  std::vector<Layer> layers;  // of the blocks from `first_block` on
  int first_block = 0;
  std::vector<int> entry_blocks;      // per entry
  std::vector<int64_t> entry_tokens;  // per entry
};

struct StackOptions {
  double dropout = 0;
  uint64_t seed = 0;
  model::Placement placement;
};

// Consecutive blocks [first, last) with frozen weights and the adapters of the moment: a client's head, its tail's
// blocks, or the aggregator's trunk. Which ones may change between two SetAdapters. One thread at a time.
class BlockStack {
 public:
  static absl::StatusOr<BlockStack> Load(const model::ModelDirectory& directory, const model::AdapterLayout& layout,
                                         int first, int last, const StackOptions& options);

  // Loads what is missing of the blocks [first, last), so that Use has them; what is in use stays, what was reserved
  // before is forgotten. LoadBlock's errors.
  absl::Status Reserve(const model::ModelDirectory& directory, int first, int last);
  // Has the stack be [first, last) from now on, which are loaded where they are not yet, and forgets all others.
  // Nothing is changed by an error. SetAdapters must follow.
  absl::Status Use(const model::ModelDirectory& directory, int first, int last);

  int first() const { return first_; }
  int last() const { return last_; }
  // The flat range of these blocks' adapters.
  model::FlatRange range() const { return range_; }

  // Takes these blocks' adapters (fp32 [range().size]) and clears the gradient.
  void SetAdapters(const at::Tensor& flat);

  // Staggered entry: walks the blocks once; at block b the rows of the entries whose block is b join those under way,
  // so the frozen weights see one product for all of them. `entries` ascend by block. Returns the rows [sum N, D] in
  // entry order. `tape` null: no backward will come. Dropout applies only with a tape.
  at::Tensor Forward(std::vector<StackEntry> entries, StackTape* tape) const;

  // grad_ND: gradient by Forward's result. Adds to the adapters' gradient and returns the gradient by each entry's
  // rows, in entry order; undefined tensors unless `need_input_gradient`.
  std::vector<at::Tensor> Backward(at::Tensor grad_ND, StackTape tape, bool need_input_gradient);

  // Sum over the Backward calls since SetAdapters: fp32 [range().size].
  const at::Tensor& gradient() const { return gradient_; }

 private:
  BlockStack(const model::AdapterLayout& layout, const StackOptions& options) : options_(options), layout_(&layout) {}
  model::BlockContext Context(int block, const model::BatchLayout& layout, bool training) const;

  int first_ = 0;
  int last_ = 0;
  model::FlatRange range_;
  StackOptions options_;
  const model::AdapterLayout* layout_;                   // outlives the stack
  std::map<int, std::unique_ptr<model::Block>> blocks_;  // those in use, and reserved ones
  std::vector<model::BlockAdapters> adapters_;           // of those in use
  at::Tensor gradient_;
};

}  // namespace splitft::train
