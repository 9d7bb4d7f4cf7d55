#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace splitft {

// Counter-based randomness (Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011). A draw is a pure function of its key and its index, so a job resumed, moved or cut elsewhere draws the
// same.

// One Philox4x32-10 block: four 32-bit words from a 128-bit counter and a 64-bit key.
std::array<uint32_t, 4> Philox(const std::array<uint32_t, 4>& counter, const std::array<uint32_t, 2>& key);

// What a draw is for. Values are part of the job's reproducibility: never renumber.
enum class RandomPurpose : uint32_t {
  kAdapterInit = 1,
  kShuffle = 2,
  kDropout = 3,
  kEvalSplit = 4,
  kPartition = 5,
  kSampling = 6,
  kRounding = 7,
  kJitter = 8,
};

// Names one stream of draws: (job seed, purpose, client, step, block). Hash clients and modules with HashName.
struct RandomKey {
  uint64_t seed = 0;
  RandomPurpose purpose = RandomPurpose::kSampling;
  uint64_t client = 0;
  uint64_t step = 0;
  uint64_t block = 0;
};

// FNV-1a (64 bits) of `name`: stable over machines and versions.
uint64_t HashName(std::string_view name);

// The stream that `key` names. A value: cheap to copy, no state beyond the key, safe to share between threads.
class RandomStream {
 public:
  explicit RandomStream(const RandomKey& key);

  // The 32 random bits at `index`.
  uint32_t Bits(uint64_t index) const;
  // The four words at `group`: Bits(4 * group) .. Bits(4 * group + 3) in one evaluation, for vectorised users.
  std::array<uint32_t, 4> Group(uint64_t group) const;
  // Uniform in [0, 1) with 24 bits.
  float Uniform(uint64_t index) const;
  // Uniform in [0, 1) with 53 bits; consumes Bits(2 * index) and Bits(2 * index + 1).
  double UniformDouble(uint64_t index) const;
  // Uniform in [0, bound), bound > 0, by multiplication (bias below bound / 2^64).
  uint64_t Below(uint64_t index, uint64_t bound) const;
  // A permutation of 0 .. size - 1 (Fisher-Yates over Below).
  std::vector<int64_t> Permutation(int64_t size) const;

  // The Philox key and the high half of the counter: what a device kernel needs to draw the same words.
  std::array<uint32_t, 2> key() const { return key_; }
  std::array<uint32_t, 2> salt() const { return salt_; }

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 2> salt_;
};

}  // namespace splitft
