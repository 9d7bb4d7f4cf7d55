#pragma once

#include <ATen/core/Tensor.h>

#include "libs/model/block.h"
#include "libs/model/ops/frozen_weight.h"

// Shapes: N tokens, I in, O out, R rank.
namespace splitft::model {

// What Linear::Backward needs; both undefined where the module has no adapter.
struct LinearTape {
  at::Tensor input_NI;     // as Forward got it: LoRA's dropout is drawn again in Backward
  at::Tensor low_rank_NR;  // scale * dropout(x) A^T, at least fp32
};

// A frozen linear module with an optional LoRA adapter (Hu et al. 2021, https://arxiv.org/abs/2106.09685):
//   y = x W^T + b + scale * (dropout(x) A^T) B^T [+ residual]
class Linear {
 public:
  // `block` and `module` (index into LinearModules) name the adapter and key the dropout. `weight_OI` may be a
  // transposed view; `bias_O` may be undefined.
  Linear(int block, int module, at::Tensor weight_OI, at::Tensor bias_O);

  // `residual_NO` (may be undefined) is added to the result. `tape` may be null.
  at::Tensor Forward(const at::Tensor& input_NI, const BlockContext& context, LinearTape* tape,
                     const at::Tensor& residual_NO = {}) const;

  // Adds the adapter's gradients to `flat_grad` (fp32, the block's range).
  void BackwardAdapter(const at::Tensor& grad_NO, const BlockContext& context, const LinearTape& tape,
                       at::Tensor* flat_grad) const {
    Backward(grad_NO, context, tape, flat_grad, false, {});
  }
  // Likewise, and returns the gradient by the input, plus `sum_NI` where that is defined.
  at::Tensor Backward(const at::Tensor& grad_NO, const BlockContext& context, const LinearTape& tape,
                      at::Tensor* flat_grad, const at::Tensor& sum_NI = {}) const {
    return Backward(grad_NO, context, tape, flat_grad, true, sum_NI);
  }

  bool HasAdapter(const BlockContext& context) const { return context.adapters.Find(module_) != nullptr; }

 private:
  at::Tensor Backward(const at::Tensor& grad_NO, const BlockContext& context, const LinearTape& tape,
                      at::Tensor* flat_grad, bool need_input_gradient, const at::Tensor& sum_NI) const;

  int block_;
  int module_;
  FrozenWeight weight_OI_;
  at::Tensor bias_O_;
};

}  // namespace splitft::model
