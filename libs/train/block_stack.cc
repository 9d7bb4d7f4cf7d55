#include "libs/train/block_stack.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "libs/base/status_macros.h"

namespace splitft::train {

absl::StatusOr<BlockStack> BlockStack::Load(const model::ModelDirectory& directory, const model::AdapterLayout& layout,
                                            int first, int last, const StackOptions& options) {
  BlockStack stack(layout, options);
  SPLITFT_RETURN_IF_ERROR(stack.Use(directory, first, last));
  return stack;
}

absl::Status BlockStack::Reserve(const model::ModelDirectory& directory, int first, int last) {
  for (int b = first; b < last; ++b) {
    if (!blocks_.contains(b)) {
      SPLITFT_ASSIGN_OR_RETURN(std::unique_ptr<model::Block> block, model::LoadBlock(directory, b, options_.placement));
      blocks_[b] = std::move(block);
    }
  }
  std::erase_if(blocks_, [&](const auto& block) {
    const int b = block.first;
    return (b < first || b >= last) && (b < first_ || b >= last_);
  });
  return absl::OkStatus();
}

absl::Status BlockStack::Use(const model::ModelDirectory& directory, int first, int last) {
  SPLITFT_RETURN_IF_ERROR(Reserve(directory, first, last));
  std::erase_if(blocks_, [&](const auto& block) { return block.first < first || block.first >= last; });
  first_ = first;
  last_ = last;
  range_ = layout_->BlockRange(first, last);
  adapters_.clear();
  return absl::OkStatus();
}

void BlockStack::SetAdapters(const at::Tensor& flat) {
  const at::TensorOptions options = at::TensorOptions(options_.placement.device).dtype(options_.placement.dtype);
  adapters_.clear();
  for (int b = first_; b < last_; ++b) {
    const model::FlatRange block = layout_->BlockRange(b, b + 1);
    adapters_.emplace_back(*layout_, b, flat.narrow(0, block.begin - range_.begin, block.size), options);
  }
  gradient_ = at::zeros({range_.size}, at::TensorOptions(options_.placement.device).dtype(at::kFloat));
}

model::BlockContext BlockStack::Context(int block, const model::BatchLayout& layout, bool training) const {
  return {.layout = layout,
          .adapters = adapters_[static_cast<size_t>(block - first_)],
          .dropout = training ? options_.dropout : 0,
          .seed = options_.seed};
}

at::Tensor BlockStack::Forward(std::vector<StackEntry> entries, StackTape* tape) const {
  model::BatchLayout layout;
  at::Tensor hidden_ND;
  auto next = entries.begin();
  const auto join = [&](int block) {
    std::vector<at::Tensor> rows;
    if (hidden_ND.defined()) {
      rows.push_back(std::move(hidden_ND));
    }
    for (; next != entries.end() && next->block == block; ++next) {
      rows.push_back(std::move(next->hidden_ND));
      layout.parts.push_back(next->part);
    }
    hidden_ND = rows.size() == 1 ? rows.front() : at::cat(rows);
  };
  const int start = entries.front().block;
  if (tape != nullptr) {
    tape->first_block = start;
    for (const StackEntry& entry : entries) {
      tape->entry_blocks.push_back(entry.block);
      tape->entry_tokens.push_back(entry.part.tokens());
    }
  }
  for (int b = start; b < last_; ++b) {
    if (next != entries.end() && next->block == b) {
      join(b);
    }
    std::unique_ptr<model::BlockTape> block_tape;
    hidden_ND =
        blocks_.at(b)->Forward(hidden_ND, Context(b, layout, tape != nullptr), tape != nullptr ? &block_tape : nullptr);
    if (tape != nullptr) {
      tape->layers.push_back({.layout = layout, .tape = std::move(block_tape)});
    }
  }
  if (next != entries.end()) {
    join(last_);
  }
  return hidden_ND;
}

std::vector<at::Tensor> BlockStack::Backward(at::Tensor grad_ND, StackTape tape, bool need_input_gradient) {
  std::vector<at::Tensor> inputs(tape.entry_blocks.size());
  size_t open = inputs.size();
  // The entries of `block` entered last of those still open: their rows are the last ones.
  const auto leave = [&](int block) {
    while (open > 0 && tape.entry_blocks[open - 1] == block) {
      --open;
      const int64_t kept = grad_ND.size(0) - tape.entry_tokens[open];
      if (need_input_gradient) {
        inputs[open] = grad_ND.narrow(0, kept, tape.entry_tokens[open]);
      }
      grad_ND = grad_ND.narrow(0, 0, kept);
    }
  };
  leave(last_);
  for (int b = last_ - 1; b >= tape.first_block && open > 0; --b) {
    StackTape::Layer& layer = tape.layers[static_cast<size_t>(b - tape.first_block)];
    const model::FlatRange block = layout_->BlockRange(b, b + 1);
    at::Tensor block_gradient = gradient_.narrow(0, block.begin - range_.begin, block.size);
    const bool need = need_input_gradient || b > tape.first_block;
    at::Tensor input_ND =
        blocks_.at(b)->Backward(grad_ND, Context(b, layer.layout, true), std::move(layer.tape), &block_gradient, need);
    if (!need) {
      break;
    }
    grad_ND = std::move(input_ND);
    leave(b);
  }
  return inputs;
}

}  // namespace splitft::train
