#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

#include "libs/base/mutex.h"

// Shapes: N rows, I in, O out.
namespace splitft::model {

// The weight of a frozen linear map. In bf16 on the CPU each direction has a copy in the layout that oneDNN multiplies
// with, made when the direction is first used; the weight itself is let go once both are there. (Zen 4, 768 x 3072:
// 10 % faster with 512 rows, twice as fast with one. In fp32 there is nothing to gain.) Thread-safe.
class FrozenWeight {
 public:
  // `weight_OI` may be a transposed view, or undefined for a weight that is never used.
  explicit FrozenWeight(at::Tensor weight_OI) : weight_OI_(std::move(weight_OI)) {}

  // x_NI W^T [+ bias_O] [+ other_NO], as MatMul in matmul.h.
  at::Tensor Apply(const at::Tensor& x_NI, const at::Tensor& bias_O = {}, const at::Tensor& other_NO = {}) const;
  // grad_NO W [+ other_NI]: the gradient by x_NI.
  at::Tensor ApplyTransposed(const at::Tensor& grad_NO, const at::Tensor& other_NI = {}) const;

 private:
  at::Tensor Forward() const SPLITFT_EXCLUDES(mutex_);
  at::Tensor Transposed() const SPLITFT_EXCLUDES(mutex_);
  void LetGoLocked() const SPLITFT_REQUIRES(mutex_);

  mutable Mutex mutex_;
  mutable at::Tensor weight_OI_ SPLITFT_GUARDED_BY(mutex_);
  mutable at::Tensor packed_OI_ SPLITFT_GUARDED_BY(mutex_);
  mutable at::Tensor packed_IO_ SPLITFT_GUARDED_BY(mutex_);
};

}  // namespace splitft::model
