#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/model/config.h"
#include "libs/spec/job.h"

namespace splitft::model {

// One adapter: LoRA A (rank x in) and B (out x rank) of one target module of one block; what is added is scale * B A.
struct AdapterSlot {
  int block = 0;
  int module = 0;    // index into LinearModules(config)
  std::string name;  // below the block: "attn.c_attn"
  int64_t in_features = 0;
  int64_t out_features = 0;
  int64_t rank = 0;
  double alpha = 0;
  double scale = 0;      // alpha / rank
  int64_t offset_a = 0;  // first element of A in the flat vector, row-major; B follows at offset_b
  int64_t offset_b = 0;
};

// A contiguous range of the flat vector.
struct FlatRange {
  int64_t begin = 0;
  int64_t size = 0;
};

// Where every trainable number of a job lies in one flat fp32 vector: block by block, in a block by module, A before B.
// Both sides derive it from the job alone, so only numbers travel. Immutable.
class AdapterLayout {
 public:
  // InvalidArgument: a target module, rank pattern or alpha pattern that matches nothing (the message lists the modules
  // there are).
  static absl::StatusOr<AdapterLayout> Create(const ModelConfig& config, const spec::Lora& lora);

  const std::vector<AdapterSlot>& slots() const { return slots_; }
  int block_count() const { return block_count_; }
  int64_t size() const { return size_; }
  // The slots of block `b`: indices [first, last) into slots().
  struct SlotRange {
    int first = 0;
    int last = 0;
  };
  SlotRange BlockSlots(int block) const;
  // The flat range of blocks [first, last).
  FlatRange BlockRange(int first, int last) const;

  // The same with other ranks, one per slot, and the same scales.
  AdapterLayout WithRanks(std::span<const int64_t> ranks) const;

  // Fresh adapters: A ~ U(-1/sqrt(in), 1/sqrt(in)) (PEFT's kaiming_uniform with a = sqrt(5)), keyed by (seed, block,
  // module); B = 0.
  std::vector<float> Initialize(uint64_t seed) const;

 private:
  std::vector<AdapterSlot> slots_;
  std::vector<int> first_slot_;  // per block, and one past the end
  int block_count_ = 0;
  int64_t size_ = 0;
};

}  // namespace splitft::model
