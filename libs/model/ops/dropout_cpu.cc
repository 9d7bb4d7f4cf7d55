#include <ATen/Parallel.h>

#include <algorithm>
#include <array>

#include "libs/model/ops/cpu_kernel.h"
#include "libs/model/ops/dropout.h"
#include "libs/model/ops/simd.h"

namespace splitft::model {
namespace {

using simd::Lanes;
using simd::Words;

constexpr int64_t kGroup = 4;                     // words of one Philox evaluation
constexpr int64_t kTile = kGroup * simd::kLanes;  // elements of one vector evaluation
using Wide = uint64_t __attribute__((vector_size(128)));

SPLITFT_SIMD_INLINE Words High(Wide product) { return __builtin_convertvector(product >> 32, Words); }
SPLITFT_SIMD_INLINE Words Low(Wide product) { return __builtin_convertvector(product, Words); }
SPLITFT_SIMD_INLINE Wide Multiply(Words x, uint64_t factor) { return __builtin_convertvector(x, Wide) * factor; }

// RandomStream::Group for groups first .. first + 15, in element order: words[4 * g + j] is word j of group g.
SPLITFT_SIMD_INLINE void DrawTile(uint64_t first_group, const std::array<uint32_t, 2>& key,
                                  const std::array<uint32_t, 2>& salt, uint32_t* words) {
  Wide group = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  group += first_group;
  Words c0 = Low(group);
  Words c1 = High(group);
  Words c2 = Words{} + salt[0];
  Words c3 = Words{} + salt[1];
  uint32_t k0 = key[0];
  uint32_t k1 = key[1];
  for (int round = 0; round < 10; ++round) {
    const Wide p0 = Multiply(c0, 0xD2511F53ULL);
    const Wide p1 = Multiply(c2, 0xCD9E8D57ULL);
    c0 = High(p1) ^ c1 ^ k0;
    c1 = Low(p1);
    c2 = High(p0) ^ c3 ^ k1;
    c3 = Low(p0);
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  uint32_t plane[kGroup][simd::kLanes];
  std::memcpy(plane[0], &c0, sizeof c0);
  std::memcpy(plane[1], &c1, sizeof c1);
  std::memcpy(plane[2], &c2, sizeof c2);
  std::memcpy(plane[3], &c3, sizeof c3);
  for (int64_t g = 0; g < simd::kLanes; ++g) {
    for (int64_t j = 0; j < kGroup; ++j) {
      words[g * kGroup + j] = plane[j][g];
    }
  }
}

// Elements [begin, end) of a part whose first element has index `first`. An element is kept where its 24 random bits,
// as an integer, are at least `threshold`.
template <typename T>
SPLITFT_SIMD_CLONES void MaskElements(const T* x, T* y, int64_t first, int64_t begin, int64_t end, uint32_t threshold,
                                      float scale, const std::array<uint32_t, 2>& key,
                                      const std::array<uint32_t, 2>& salt) {
  const int64_t lead = first % kGroup;  // the part may start inside a group
  uint32_t words[kTile];
  T tile[kTile];
  for (int64_t tile_begin = begin - (begin + lead) % kGroup; tile_begin < end; tile_begin += kTile) {
    DrawTile(static_cast<uint64_t>((first + tile_begin) / kGroup), key, salt, words);
    const int64_t from = std::max(tile_begin, begin);
    const int64_t to = std::min(tile_begin + kTile, end);
    const bool whole = to - from == kTile;
    if (!whole) {
      std::memset(static_cast<void*>(tile), 0, sizeof tile);
      std::memcpy(static_cast<void*>(tile + (from - tile_begin)), x + from, static_cast<size_t>(to - from) * sizeof(T));
    }
    const T* source = whole ? x + tile_begin : tile;
    T* target = whole ? y + tile_begin : tile;
    for (int64_t i = 0; i < kTile; i += simd::kLanes) {
      Words bits;
      std::memcpy(&bits, words + i, sizeof bits);
      const Lanes kept = simd::Load(source + i) * scale;
      simd::Store(target + i, (bits >> 8) >= (Words{} + threshold) ? kept : Lanes{});
    }
    if (!whole) {
      std::memcpy(static_cast<void*>(y + from), tile + (from - tile_begin), static_cast<size_t>(to - from) * sizeof(T));
    }
  }
}

}  // namespace

void Dropout::ApplyCpu(const RandomStream& stream, int64_t first_element, const at::Tensor& x,
                       const at::Tensor& y) const {
  DispatchCpuType(x, [&]<typename T>(const T*) {
    const T* source = x.const_data_ptr<T>();
    T* target = y.mutable_data_ptr<T>();
    at::parallel_for(0, x.numel(), RowGrain(1), [&](int64_t begin, int64_t end) {
      MaskElements<T>(source, target, first_element, begin, end, Threshold(), Scale(), stream.key(), stream.salt());
    });
  });
}

}  // namespace splitft::model
