#include <ATen/Parallel.h>

#include <vector>

#include "libs/model/ops/cpu_kernel.h"
#include "libs/model/ops/rope.h"
#include "libs/model/ops/simd.h"

namespace splitft::model {
namespace {

using simd::Lanes;

template <typename T>
SPLITFT_SIMD_CLONES void RotateToken(const float* cos, const float* sin, float direction, T* x, int64_t heads,
                                     int64_t half) {
  for (int64_t head = 0; head < heads; ++head, x += 2 * half) {
    SPLITFT_SIMD_FOR(i, half) {
      const Lanes a = simd::LoadAt(x, i, half);
      const Lanes b = simd::LoadAt(x + half, i, half);
      const Lanes c = simd::LoadAt(cos, i, half);
      const Lanes s = simd::LoadAt(sin, i, half) * direction;
      simd::StoreAt(x, i, half, a * c - b * s);
      simd::StoreAt(x + half, i, half, b * c + a * s);
    }
  }
}

}  // namespace

void Rope::ApplyCpu(const BatchLayout& layout, const at::Tensor& table_TS, float direction, at::Tensor* x_NHS) const {
  const int64_t heads = x_NHS->size(1);
  const int64_t size = x_NHS->size(2);
  const std::vector<int64_t> positions = Positions(layout);
  const float* table = table_TS.const_data_ptr<float>();
  DispatchCpuType(*x_NHS, [&]<typename T>(const T*) {
    T* x = x_NHS->mutable_data_ptr<T>();
    at::parallel_for(0, x_NHS->size(0), RowGrain(heads * size), [&](int64_t begin, int64_t end) {
      for (int64_t token = begin; token < end; ++token) {
        const float* cos = table + positions[static_cast<size_t>(token)] * size;
        RotateToken<T>(cos, cos + size / 2, direction, x + token * heads * size, heads, size / 2);
      }
    });
  });
}

}  // namespace splitft::model
