#include "libs/model/ops/swiglu_cpu.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>

#include "libs/model/ops/cpu_kernel.h"
#include "libs/model/ops/simd.h"

namespace splitft::model {
namespace {

using simd::Lanes;

template <typename T>
SPLITFT_SIMD_CLONES void Forward(const T* gate, const T* up, T* y, int64_t size) {
  SPLITFT_SIMD_FOR(i, size) {
    const Lanes g = simd::LoadAt(gate, i, size);
    simd::StoreAt(y, i, size, g * simd::Sigmoid(g) * simd::LoadAt(up, i, size));
  }
}

template <typename T>
SPLITFT_SIMD_CLONES void Backward(const T* gate, const T* up, T* grad, T* grad_up, int64_t size) {
  SPLITFT_SIMD_FOR(i, size) {
    const Lanes g = simd::LoadAt(gate, i, size);
    const Lanes s = simd::Sigmoid(g);
    const Lanes d = simd::LoadAt(grad, i, size);
    simd::StoreAt(grad_up, i, size, d * g * s);
    simd::StoreAt(grad, i, size, d * simd::LoadAt(up, i, size) * (s * (1.0F + g * (1.0F - s))));
  }
}

}  // namespace

at::Tensor SwiGluCpu(const at::Tensor& gate, const at::Tensor& up) {
  at::Tensor y = at::empty_like(gate);
  DispatchCpuType(gate, [&]<typename T>(const T*) {
    const T* gates = gate.const_data_ptr<T>();
    const T* ups = up.const_data_ptr<T>();
    T* target = y.mutable_data_ptr<T>();
    at::parallel_for(0, gate.numel(), RowGrain(1), [&](int64_t begin, int64_t end) {
      Forward<T>(gates + begin, ups + begin, target + begin, end - begin);
    });
  });
  return y;
}

at::Tensor SwiGluBackwardCpu(const at::Tensor& gate, const at::Tensor& up, at::Tensor* grad) {
  at::Tensor grad_up = at::empty_like(gate);
  DispatchCpuType(gate, [&]<typename T>(const T*) {
    const T* gates = gate.const_data_ptr<T>();
    const T* ups = up.const_data_ptr<T>();
    T* grads = grad->mutable_data_ptr<T>();
    T* grad_ups = grad_up.mutable_data_ptr<T>();
    at::parallel_for(0, gate.numel(), RowGrain(1), [&](int64_t begin, int64_t end) {
      Backward<T>(gates + begin, ups + begin, grads + begin, grad_ups + begin, end - begin);
    });
  });
  return grad_up;
}

}  // namespace splitft::model
