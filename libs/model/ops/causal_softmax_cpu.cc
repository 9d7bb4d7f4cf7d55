#include "libs/model/ops/causal_softmax_cpu.h"

#include <ATen/Parallel.h>

#include <algorithm>

#include "libs/model/ops/cpu_kernel.h"
#include "libs/model/ops/simd.h"

namespace splitft::model {
namespace {

using simd::Lanes;

// Columns [begin, end) of `row` become their softmax, the rest of its `size` columns 0.
template <typename T>
SPLITFT_SIMD_CLONES void SoftmaxRow(T* row, int64_t begin, int64_t end, int64_t size, float scale) {
  T* seen = row + begin;
  const int64_t count = end - begin;
  const int64_t whole = count / simd::kLanes * simd::kLanes;
  float most = static_cast<float>(seen[0]);
  Lanes lanes_most = simd::Splat(most);
  SPLITFT_SIMD_FOR(i, whole) { lanes_most = simd::Max(lanes_most, simd::Load(seen + i)); }
  most = simd::Max(lanes_most);
  for (int64_t i = whole; i < count; ++i) {
    most = std::max(most, static_cast<float>(seen[i]));
  }
  // The sum is taken over what bf16 would not hold: probabilities are rounded once, after the division.
  Lanes lanes_sum = {};
  SPLITFT_SIMD_FOR(i, whole) { lanes_sum += simd::Exp((simd::Load(seen + i) - most) * scale); }
  float sum = simd::Sum(lanes_sum);
  if (whole < count) {
    float rest[simd::kLanes];
    simd::Store(rest, simd::Exp((simd::LoadPart(seen + whole, count - whole) - most) * scale));
    for (int64_t i = 0; i < count - whole; ++i) {
      sum += rest[i];
    }
  }
  const float inverse = 1.0F / sum;
  SPLITFT_SIMD_FOR(i, count) {
    simd::StoreAt(seen, i, count, simd::Exp((simd::LoadAt(seen, i, count) - most) * scale) * inverse);
  }
  std::fill(row, seen, T(0.0F));
  std::fill(row + end, row + size, T(0.0F));
}

template <typename T>
SPLITFT_SIMD_CLONES void BackwardRow(const T* p, T* grad, int64_t size, float scale) {
  Lanes along = {};
  SPLITFT_SIMD_FOR(i, size) { along += simd::LoadAt(p, i, size) * simd::LoadAt(grad, i, size); }
  const float total = simd::Sum(along);
  SPLITFT_SIMD_FOR(i, size) {
    simd::StoreAt(grad, i, size, simd::LoadAt(p, i, size) * (simd::LoadAt(grad, i, size) - total) * scale);
  }
}

}  // namespace

void CausalSoftmaxCpu(const ScoreBlock& block, double scale, at::Tensor* scores_HRK) {
  const int64_t keys = block.keys;
  DispatchCpuType(*scores_HRK, [&]<typename T>(const T*) {
    T* scores = scores_HRK->mutable_data_ptr<T>();
    at::parallel_for(0, scores_HRK->numel() / keys, RowGrain(keys), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t query = block.first_query + row % block.queries;
        const int64_t oldest = block.window.has_value() ? std::max<int64_t>(0, query + 1 - *block.window) : 0;
        SoftmaxRow<T>(scores + row * keys, std::max<int64_t>(0, oldest - block.first_key), query + 1 - block.first_key,
                      keys, static_cast<float>(scale));
      }
    });
  });
}

void CausalSoftmaxBackwardCpu(const at::Tensor& probabilities_HRK, double scale, at::Tensor* grad_HRK) {
  const int64_t keys = grad_HRK->size(-1);
  DispatchCpuType(*grad_HRK, [&]<typename T>(const T*) {
    const T* p = probabilities_HRK.const_data_ptr<T>();
    T* grad = grad_HRK->mutable_data_ptr<T>();
    at::parallel_for(0, grad_HRK->numel() / keys, RowGrain(keys), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        BackwardRow<T>(p + row * keys, grad + row * keys, keys, static_cast<float>(scale));
      }
    });
  });
}

}  // namespace splitft::model
