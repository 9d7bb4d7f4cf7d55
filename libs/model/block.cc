#include "libs/model/block.h"

namespace splitft::model {

BlockAdapters::BlockAdapters(const AdapterLayout& layout, int block, const at::Tensor& block_flat,
                             const at::TensorOptions& options)
    : flat_begin_(layout.BlockRange(block, block + 1).begin) {
  const AdapterLayout::SlotRange range = layout.BlockSlots(block);
  const auto matrix = [&](int64_t offset, int64_t rows, int64_t columns) {
    const at::Tensor view = block_flat.narrow(0, offset - flat_begin_, rows * columns).view({rows, columns});
    return view.to(options, /*non_blocking=*/false, /*copy=*/true);
  };
  for (int i = range.first; i < range.last; ++i) {
    const AdapterSlot& slot = layout.slots()[static_cast<size_t>(i)];
    pairs_.push_back({&slot, matrix(slot.offset_a, slot.rank, slot.in_features),
                      matrix(slot.offset_b, slot.out_features, slot.rank)});
  }
}

const BlockAdapters::Pair* BlockAdapters::Find(int module) const {
  for (const Pair& pair : pairs_) {
    if (pair.slot->module == module) {
      return &pair;
    }
  }
  return nullptr;
}

}  // namespace splitft::model
