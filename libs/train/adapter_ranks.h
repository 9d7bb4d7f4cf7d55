#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "libs/model/adapter_layout.h"
#include "libs/train/adapter_state.h"

namespace splitft::train {

// The ranks that a job's adapters are trained at, which may change while it runs: below those of the layout, for which
// the flat vector has room. The pairs beyond are zero. Then their gradients are zero, too, so they stay so, and nobody
// who computes with the adapters needs to know.
class AdapterRanks {
 public:
  // Every adapter at the layout's rank. `layout` outlives this; `seed`: the job's, for fresh pairs.
  AdapterRanks(const model::AdapterLayout& layout, uint64_t seed);

  // Has the adapters of block b go on at the layout's rank, or at caps[b] where that is above 0 and less: up by fresh
  // pairs that add nothing yet, down by what comes nearest (train/rank_change.h). Blocks that are not trained stay as
  // they are. Returns the share of the lowered adapters' energy (the sum of squared Frobenius norms of scale B A) that
  // was lost; 0 where none was lowered.
  double Change(std::span<const int> caps, AdapterState* state);

  int block_count() const { return layout_->block_count(); }
  // The highest rank of any adapter in the block; 0 where it has none.
  int64_t OfBlock(int block) const;
  // A layout of these ranks, and `flat` of the job's layout in it: what is written when the job ends. The scales are
  // the job's.
  model::AdapterLayout Layout() const { return layout_->WithRanks(ranks_); }
  std::vector<float> Trimmed(std::span<const float> flat) const;

 private:
  const model::AdapterLayout* layout_;
  std::vector<int64_t> ranks_;  // per slot
  std::vector<float> fresh_;    // the flat vector of a job that begins
};

}  // namespace splitft::train
