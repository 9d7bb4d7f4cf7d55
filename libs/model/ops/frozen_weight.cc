#include "libs/model/ops/frozen_weight.h"

#include "libs/model/ops/matmul.h"

namespace splitft::model {

at::Tensor FrozenWeight::Apply(const at::Tensor& x_NI, const at::Tensor& bias_O, const at::Tensor& other_NO) const {
  return MatMul(x_NI, Forward(), bias_O, other_NO);
}

at::Tensor FrozenWeight::ApplyTransposed(const at::Tensor& grad_NO, const at::Tensor& other_NI) const {
  return MatMul(grad_NO, Transposed(), {}, other_NI);
}

at::Tensor FrozenWeight::Forward() const {
  const MutexLock lock(mutex_);
  if (!packed_OI_.defined()) {
    packed_OI_ = PackForMatMul(weight_OI_);
    LetGoLocked();
  }
  return packed_OI_;
}

at::Tensor FrozenWeight::Transposed() const {
  const MutexLock lock(mutex_);
  if (!packed_IO_.defined()) {
    packed_IO_ = PackForMatMul(weight_OI_.t());
    LetGoLocked();
  }
  return packed_IO_;
}

void FrozenWeight::LetGoLocked() const {
  if (packed_OI_.defined() && packed_IO_.defined()) {
    weight_OI_.reset();
  }
}

}  // namespace splitft::model
