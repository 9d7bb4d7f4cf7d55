#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>

#include <cmath>

#include "libs/model/ops/cpu_kernel.h"
#include "libs/model/ops/rms_norm.h"
#include "libs/model/ops/simd.h"

namespace splitft::model {
namespace {

using simd::Lanes;

template <typename T>
SPLITFT_SIMD_INLINE float InverseRoot(const T* x, int64_t size, float epsilon) {
  Lanes squares = {};
  SPLITFT_SIMD_FOR(i, size) {
    const Lanes v = simd::LoadAt(x, i, size);
    squares += v * v;
  }
  return 1.0F / std::sqrt(simd::Sum(squares) / static_cast<float>(size) + epsilon);
}

template <typename T>
SPLITFT_SIMD_CLONES void ForwardRows(const T* x, const T* weight, T* y, int64_t rows, int64_t size, float epsilon) {
  for (int64_t row = 0; row < rows; ++row, x += size, y += size) {
    const float inverse = InverseRoot(x, size, epsilon);
    SPLITFT_SIMD_FOR(i, size) {
      const Lanes normal = simd::RoundAs(x, simd::LoadAt(x, i, size) * inverse);
      simd::StoreAt(y, i, size, normal * simd::LoadAt(weight, i, size));
    }
  }
}

// dx = (g - normal * mean(g * normal)) * inverse [+ sum], with g = dy * weight and normal = x * inverse.
template <typename T>
SPLITFT_SIMD_CLONES void BackwardRows(const T* grad, const T* x, const T* weight, const T* sum, T* out, int64_t rows,
                                      int64_t size, float epsilon) {
  for (int64_t row = 0; row < rows; ++row, grad += size, x += size, out += size) {
    const float inverse = InverseRoot(x, size, epsilon);
    Lanes along = {};
    SPLITFT_SIMD_FOR(i, size) {
      along += simd::LoadAt(grad, i, size) * simd::LoadAt(weight, i, size) * simd::LoadAt(x, i, size);
    }
    const float mean_along = simd::Sum(along) * inverse / static_cast<float>(size);
    SPLITFT_SIMD_FOR(i, size) {
      const Lanes g = simd::LoadAt(grad, i, size) * simd::LoadAt(weight, i, size);
      Lanes result = (g - simd::LoadAt(x, i, size) * (inverse * mean_along)) * inverse;
      if (sum != nullptr) {
        result += simd::LoadAt(sum + row * size, i, size);
      }
      simd::StoreAt(out, i, size, result);
    }
  }
}

}  // namespace

at::Tensor RmsNorm::ForwardCpu(const at::Tensor& x_ND) const {
  const int64_t size = x_ND.size(-1);
  at::Tensor y_ND = at::empty_like(x_ND);
  DispatchCpuType(x_ND, [&]<typename T>(const T*) {
    const T* x = x_ND.const_data_ptr<T>();
    const T* weight = weight_D_.const_data_ptr<T>();
    T* y = y_ND.mutable_data_ptr<T>();
    at::parallel_for(0, x_ND.numel() / size, RowGrain(size), [&](int64_t begin, int64_t end) {
      ForwardRows<T>(x + begin * size, weight, y + begin * size, end - begin, size, static_cast<float>(epsilon_));
    });
  });
  return y_ND;
}

at::Tensor RmsNorm::BackwardCpu(const at::Tensor& grad_ND, const at::Tensor& x_ND, const at::Tensor& sum_ND) const {
  const int64_t size = x_ND.size(-1);
  at::Tensor out_ND = at::empty_like(x_ND);
  DispatchCpuType(x_ND, [&]<typename T>(const T*) {
    const T* grad = grad_ND.const_data_ptr<T>();
    const T* x = x_ND.const_data_ptr<T>();
    const T* weight = weight_D_.const_data_ptr<T>();
    const T* sum = sum_ND.defined() ? sum_ND.const_data_ptr<T>() : nullptr;
    T* out = out_ND.mutable_data_ptr<T>();
    at::parallel_for(0, x_ND.numel() / size, RowGrain(size), [&](int64_t begin, int64_t end) {
      const int64_t at = begin * size;
      BackwardRows<T>(grad + at, x + at, weight, sum != nullptr ? sum + at : nullptr, out + at, end - begin, size,
                      static_cast<float>(epsilon_));
    });
  });
  return out_ND;
}

}  // namespace splitft::model
