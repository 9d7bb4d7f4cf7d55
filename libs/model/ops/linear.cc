#include "libs/model/ops/linear.h"

#include <utility>

#include "libs/model/ops/dropout.h"
#include "libs/model/ops/matmul.h"

namespace splitft::model {

Linear::Linear(int block, int module, at::Tensor weight_OI, at::Tensor bias_O)
    : block_(block), module_(module), weight_OI_(std::move(weight_OI)), bias_O_(std::move(bias_O)) {}

at::Tensor Linear::Forward(const at::Tensor& input_NI, const BlockContext& context, LinearTape* tape,
                           const at::Tensor& residual_NO) const {
  const BlockAdapters::Pair* adapter = context.adapters.Find(module_);
  if (adapter == nullptr) {
    return MatMul(input_NI, weight_OI_, bias_O_, residual_NO);
  }
  const Dropout dropout(context, block_, module_);
  const at::Tensor low_rank_NR = MatMul(dropout.Apply(input_NI), adapter->a_RI).mul_(adapter->slot->scale);
  // The adapter's product first: the base's then adds it, and the residual with it, while it writes its own result.
  const at::Tensor other_NO = MatMul(low_rank_NR, adapter->b_OR, {}, residual_NO);
  if (tape != nullptr) {
    *tape = {input_NI, low_rank_NR};
  }
  return MatMul(input_NI, weight_OI_, bias_O_, other_NO);
}

at::Tensor Linear::Backward(const at::Tensor& grad_NO, const BlockContext& context, const LinearTape& tape,
                            at::Tensor* flat_grad, bool need_input_gradient, const at::Tensor& sum_NI) const {
  at::Tensor other_NI = sum_NI;
  if (const BlockAdapters::Pair* adapter = context.adapters.Find(module_); adapter != nullptr) {
    const AdapterSlot& slot = *adapter->slot;
    const Dropout dropout(context, block_, module_);
    const int64_t begin = context.adapters.flat_begin();
    const auto grad_of = [&](int64_t offset, const at::Tensor& like) {
      return flat_grad->narrow(0, offset - begin, like.numel()).view(like.sizes());
    };
    AddTransposedProduct(grad_NO, tape.low_rank_NR, 1.0, grad_of(slot.offset_b, adapter->b_OR));
    const at::Tensor grad_low_rank_NR = MatMul(grad_NO, adapter->b_OR.t()).mul_(slot.scale);
    AddTransposedProduct(grad_low_rank_NR, dropout.Apply(tape.input_NI), 1.0, grad_of(slot.offset_a, adapter->a_RI));
    if (need_input_gradient && dropout.active()) {
      at::Tensor through_adapter_NI = dropout.Apply(MatMul(grad_low_rank_NR, adapter->a_RI.t()));
      other_NI = sum_NI.defined() ? through_adapter_NI.add_(sum_NI) : through_adapter_NI;
    } else if (need_input_gradient) {
      other_NI = MatMul(grad_low_rank_NR, adapter->a_RI.t(), {}, sum_NI);
    }
  }
  return need_input_gradient ? MatMul(grad_NO, weight_OI_.t(), {}, other_NI) : at::Tensor();
}

}  // namespace splitft::model
