#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace splitft::model {

// Whether the kernels of the *_cpu.cc files take this tensor. Everything else (CUDA, double) goes through ATen.
inline bool HasCpuKernel(const at::Tensor& x) {
  return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

// Calls body(const T*) with a null pointer of the tensor's element type; the tensor has a CPU kernel.
template <typename Body>
void DispatchCpuType(const at::Tensor& x, const Body& body) {
  if (x.scalar_type() == at::kFloat) {
    body(static_cast<const float*>(nullptr));
  } else {
    body(static_cast<const at::BFloat16*>(nullptr));
  }
}

// How many rows of `columns` elements are worth a thread of their own.
inline int64_t RowGrain(int64_t columns) {
  constexpr int64_t kElements = 16384;
  return columns < kElements ? kElements / (columns > 0 ? columns : 1) : 1;
}

}  // namespace splitft::model
