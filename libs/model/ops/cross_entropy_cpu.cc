#include "libs/model/ops/cross_entropy_cpu.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "libs/model/ops/cpu_kernel.h"
#include "libs/model/ops/simd.h"

namespace splitft::model {
namespace {

using simd::Lanes;

// The largest logit, and the sum of exp(logit - largest), in one pass (Milakov, Gimelshein 2018): per lane, with the
// sum rescaled where a tile of four vectors raises the lane's maximum.
struct Normaliser {
  float most;
  float sum;
};

template <typename T>
SPLITFT_SIMD_INLINE Normaliser Normalise(const T* x, int64_t size) {
  constexpr int64_t kTile = 4 * simd::kLanes;
  const int64_t tiles = size / kTile * kTile;
  Lanes most = simd::Splat(static_cast<float>(x[0]));
  Lanes sum = {};
  for (int64_t i = 0; i < tiles; i += kTile) {
    const Lanes a = simd::Load(x + i);
    const Lanes b = simd::Load(x + i + simd::kLanes);
    const Lanes c = simd::Load(x + i + 2 * simd::kLanes);
    const Lanes d = simd::Load(x + i + 3 * simd::kLanes);
    const Lanes raised = simd::Max(most, simd::Max(simd::Max(a, b), simd::Max(c, d)));
    sum = sum * simd::Exp(most - raised) +
          ((simd::Exp(a - raised) + simd::Exp(b - raised)) + (simd::Exp(c - raised) + simd::Exp(d - raised)));
    most = raised;
  }
  float row_most = simd::Max(most);
  for (int64_t i = tiles; i < size; ++i) {
    row_most = std::max(row_most, static_cast<float>(x[i]));
  }
  float row_sum = simd::Sum(sum * simd::Exp(most - row_most));
  for (int64_t i = tiles; i < size; ++i) {
    row_sum += std::exp(static_cast<float>(x[i]) - row_most);
  }
  return {row_most, row_sum};
}

// The row's loss; with `need_gradient` the row becomes softmax - onehot(label).
template <typename T>
SPLITFT_SIMD_CLONES double CrossEntropyRow(T* row, int64_t size, int64_t label, bool need_gradient) {
  const Normaliser n = Normalise(row, size);
  const float log_sum = n.most + std::log(n.sum);
  const auto at_label = static_cast<float>(row[label]);
  if (need_gradient) {
    const float inverse = 1.0F / n.sum;
    SPLITFT_SIMD_FOR(i, size) { simd::StoreAt(row, i, size, simd::Exp(simd::LoadAt(row, i, size) - n.most) * inverse); }
    row[label] = static_cast<T>(std::exp(at_label - log_sum) - 1.0F);
  }
  return static_cast<double>(log_sum) - static_cast<double>(at_label);
}

}  // namespace

double CrossEntropyCpu(const at::Tensor& labels_N, bool need_gradient, at::Tensor* logits_NV) {
  const int64_t size = logits_NV->size(1);
  const auto* labels = labels_N.const_data_ptr<int64_t>();
  std::vector<double> losses(static_cast<size_t>(logits_NV->size(0)));
  DispatchCpuType(*logits_NV, [&]<typename T>(const T*) {
    T* logits = logits_NV->mutable_data_ptr<T>();
    at::parallel_for(0, logits_NV->size(0), RowGrain(size), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        losses[static_cast<size_t>(row)] = CrossEntropyRow<T>(logits + row * size, size, labels[row], need_gradient);
      }
    });
  });
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

}  // namespace splitft::model
