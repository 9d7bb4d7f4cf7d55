#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>

#include <cmath>

#include "libs/model/ops/cpu_kernel.h"
#include "libs/model/ops/layer_norm.h"
#include "libs/model/ops/simd.h"

namespace splitft::model {
namespace {

using simd::Lanes;

struct Moments {
  float mean;
  float inverse_deviation;
};

template <typename T>
SPLITFT_SIMD_INLINE Moments RowMoments(const T* x, int64_t size, float epsilon) {
  Lanes sum = {};
  SPLITFT_SIMD_FOR(i, size) { sum += simd::LoadAt(x, i, size); }
  const float mean = simd::Sum(sum) / static_cast<float>(size);
  Lanes squares = {};
  const int64_t whole = size / simd::kLanes * simd::kLanes;
  SPLITFT_SIMD_FOR(i, whole) {
    const Lanes d = simd::Load(x + i) - mean;
    squares += d * d;
  }
  float square_sum = simd::Sum(squares);
  for (int64_t i = whole; i < size; ++i) {
    const float d = static_cast<float>(x[i]) - mean;
    square_sum += d * d;
  }
  return {mean, 1.0F / std::sqrt(square_sum / static_cast<float>(size) + epsilon)};
}

template <typename T>
SPLITFT_SIMD_CLONES void ForwardRows(const T* x, const T* weight, const T* bias, T* y, int64_t rows, int64_t size,
                                     float epsilon) {
  for (int64_t row = 0; row < rows; ++row, x += size, y += size) {
    const Moments m = RowMoments(x, size, epsilon);
    SPLITFT_SIMD_FOR(i, size) {
      const Lanes normal = (simd::LoadAt(x, i, size) - m.mean) * m.inverse_deviation;
      simd::StoreAt(y, i, size, normal * simd::LoadAt(weight, i, size) + simd::LoadAt(bias, i, size));
    }
  }
}

// dx = (g - mean(g) - normal * mean(g * normal)) / deviation [+ sum], with g = dy * weight.
template <typename T>
SPLITFT_SIMD_CLONES void BackwardRows(const T* grad, const T* x, const T* weight, const T* sum, T* out, int64_t rows,
                                      int64_t size, float epsilon) {
  for (int64_t row = 0; row < rows; ++row, grad += size, x += size, out += size) {
    const Moments m = RowMoments(x, size, epsilon);
    Lanes total = {};
    Lanes along = {};
    SPLITFT_SIMD_FOR(i, size) {  // beyond the row's end the gradient is loaded as 0
      const Lanes g = simd::LoadAt(grad, i, size) * simd::LoadAt(weight, i, size);
      total += g;
      along += g * (simd::LoadAt(x, i, size) - m.mean);
    }
    const float mean_g = simd::Sum(total) / static_cast<float>(size);
    const float mean_along = simd::Sum(along) * m.inverse_deviation / static_cast<float>(size);
    SPLITFT_SIMD_FOR(i, size) {
      const Lanes g = simd::LoadAt(grad, i, size) * simd::LoadAt(weight, i, size);
      const Lanes normal = (simd::LoadAt(x, i, size) - m.mean) * m.inverse_deviation;
      Lanes result = (g - mean_g - normal * mean_along) * m.inverse_deviation;
      if (sum != nullptr) {
        result += simd::LoadAt(sum + row * size, i, size);
      }
      simd::StoreAt(out, i, size, result);
    }
  }
}

}  // namespace

at::Tensor LayerNorm::ForwardCpu(const at::Tensor& x_ND) const {
  const int64_t size = x_ND.size(-1);
  at::Tensor y_ND = at::empty_like(x_ND);
  DispatchCpuType(x_ND, [&]<typename T>(const T*) {
    const T* x = x_ND.const_data_ptr<T>();
    const T* weight = weight_D_.const_data_ptr<T>();
    const T* bias = bias_D_.const_data_ptr<T>();
    T* y = y_ND.mutable_data_ptr<T>();
    at::parallel_for(0, x_ND.numel() / size, RowGrain(size), [&](int64_t begin, int64_t end) {
      ForwardRows<T>(x + begin * size, weight, bias, y + begin * size, end - begin, size, static_cast<float>(epsilon_));
    });
  });
  return y_ND;
}

at::Tensor LayerNorm::BackwardCpu(const at::Tensor& grad_ND, const at::Tensor& x_ND, const at::Tensor& sum_ND) const {
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
