#pragma once

#include <ATen/core/Tensor.h>

#include <variant>

#include "libs/model/model.h"
#include "libs/model/ops/frozen_weight.h"
#include "libs/model/ops/layer_norm.h"
#include "libs/model/ops/rms_norm.h"

// Shapes: N rows, D model, V vocabulary.
namespace splitft::model {

using Norm = std::variant<LayerNorm, RmsNorm>;

// Final norm, a linear head without bias, and cross-entropy. Masked rows are left out of every product; the rest go
// through in chunks whose logits take a few tens of MB.
class LinearLossHead final : public LossHead {
 public:
  LinearLossHead(Norm norm, at::Tensor head_VD);
  Result Loss(const at::Tensor& hidden_ND, const at::Tensor& labels_N, bool need_gradient) const override;
  at::Tensor Logits(const at::Tensor& hidden_ND) const override;

 private:
  // Loss of rows that all have labels; their gradient by the norm's output goes to `grad_ND` where that is defined.
  double ChunkedLoss(const at::Tensor& normal_ND, const at::Tensor& labels_N, const at::Tensor& grad_ND) const;

  Norm norm_;
  int64_t vocabulary_size_;
  FrozenWeight head_VD_;
};

}  // namespace splitft::model
