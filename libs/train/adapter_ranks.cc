#include "libs/train/adapter_ranks.h"

#include <ATen/ops/from_blob.h>

#include <algorithm>

namespace splitft::train {

AdapterRanks::AdapterRanks(const model::AdapterLayout& layout, uint64_t seed)
    : layout_(&layout), fresh_(layout.Initialize(seed)) {
  for (const model::AdapterSlot& slot : layout.slots()) {
    ranks_.push_back(slot.rank);
  }
}

double AdapterRanks::Change(std::span<const int> caps, AdapterState* state) {
  double energy = 0;
  double discarded = 0;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    const model::AdapterSlot& slot = layout_->slots()[i];
    const int cap = caps[static_cast<size_t>(slot.block)];
    const int64_t rank = cap > 0 ? std::min<int64_t>(cap, slot.rank) : slot.rank;
    if (rank == ranks_[i] || !state->IsTrained(slot)) {
      continue;
    }
    const at::Tensor fresh_a = at::from_blob(fresh_.data() + slot.offset_a, {slot.rank, slot.in_features}, at::kFloat);
    const AdapterState::RankChange change = state->ChangeRank(slot, ranks_[i], rank, fresh_a.narrow(0, 0, rank));
    energy += slot.scale * slot.scale * change.energy;
    discarded += slot.scale * slot.scale * change.discarded;
    ranks_[i] = rank;
  }
  return energy > 0 ? discarded / energy : 0;
}

int64_t AdapterRanks::OfBlock(int block) const {
  const model::AdapterLayout::SlotRange slots = layout_->BlockSlots(block);
  return slots.first == slots.last ? 0 : *std::max_element(ranks_.begin() + slots.first, ranks_.begin() + slots.last);
}

std::vector<float> AdapterRanks::Trimmed(std::span<const float> flat) const {
  std::vector<float> trimmed;
  for (size_t i = 0; i < ranks_.size(); ++i) {
    const model::AdapterSlot& slot = layout_->slots()[i];
    const std::span<const float> a = flat.subspan(static_cast<size_t>(slot.offset_a));
    trimmed.insert(trimmed.end(), a.begin(), a.begin() + ranks_[i] * slot.in_features);
    for (int64_t row = 0; row < slot.out_features; ++row) {
      const auto b = flat.begin() + slot.offset_b + row * slot.rank;
      trimmed.insert(trimmed.end(), b, b + ranks_[i]);
    }
  }
  return trimmed;
}

}  // namespace splitft::train
