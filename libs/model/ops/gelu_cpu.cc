#include "libs/model/ops/gelu_cpu.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>

#include "libs/model/ops/cpu_kernel.h"
#include "libs/model/ops/simd.h"

namespace splitft::model {
namespace {

using simd::Lanes;

constexpr float kSlope = 1.59576912160573F;  // 2 * sqrt(2 / pi)
constexpr float kCubic = 0.044715F;

SPLITFT_SIMD_INLINE Lanes Gate(Lanes x) { return simd::Sigmoid(kSlope * (x + kCubic * x * x * x)); }

template <typename T>
SPLITFT_SIMD_CLONES void Forward(const T* x, T* y, int64_t size) {
  SPLITFT_SIMD_FOR(i, size) {
    const Lanes v = simd::LoadAt(x, i, size);
    simd::StoreAt(y, i, size, v * Gate(v));
  }
}

// d(x s) = s + x s (1 - s) * 2u'.
template <typename T>
SPLITFT_SIMD_CLONES void Backward(const T* x, T* grad, int64_t size) {
  SPLITFT_SIMD_FOR(i, size) {
    const Lanes v = simd::LoadAt(x, i, size);
    const Lanes s = Gate(v);
    const Lanes slope = s + v * s * (1.0F - s) * (kSlope * (1.0F + 3.0F * kCubic * v * v));
    simd::StoreAt(grad, i, size, simd::LoadAt(grad, i, size) * slope);
  }
}

}  // namespace

at::Tensor GeluCpu(const at::Tensor& x) {
  at::Tensor y = at::empty_like(x);
  DispatchCpuType(x, [&]<typename T>(const T*) {
    const T* source = x.const_data_ptr<T>();
    T* target = y.mutable_data_ptr<T>();
    at::parallel_for(0, x.numel(), RowGrain(1),
                     [&](int64_t begin, int64_t end) { Forward<T>(source + begin, target + begin, end - begin); });
  });
  return y;
}

void GeluBackwardCpu(const at::Tensor& x, at::Tensor* grad) {
  DispatchCpuType(x, [&]<typename T>(const T*) {
    const T* source = x.const_data_ptr<T>();
    T* target = grad->mutable_data_ptr<T>();
    at::parallel_for(0, x.numel(), RowGrain(1),
                     [&](int64_t begin, int64_t end) { Backward<T>(source + begin, target + begin, end - begin); });
  });
}

}  // namespace splitft::model
