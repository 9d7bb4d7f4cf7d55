#include "libs/model/ops/linear.h"

#include <utility>

#include "libs/model/ops/dropout.h"
#include "libs/model/ops/matmul.h"
#include "libs/model/ops/thin_products.h"

namespace splitft::model {

Linear::Linear(int block, int module, at::Tensor weight_OI, at::Tensor bias_O)
    : block_(block), module_(module), weight_OI_(std::move(weight_OI)), bias_O_(std::move(bias_O)) {}

at::Tensor Linear::Forward(const at::Tensor& input_NI, const BlockContext& context, LinearTape* tape,
                           const at::Tensor& residual_NO) const {
  const BlockAdapters::Pair* adapter = context.adapters.Find(module_);
  if (adapter == nullptr) {
    return weight_OI_.Apply(input_NI, bias_O_, residual_NO);
  }
  const Dropout dropout(context, block_, module_);
  const at::Tensor low_rank_NR = ThinMatMul(dropout.Apply(input_NI), adapter->a_RI).mul_(adapter->slot->scale);
  if (tape != nullptr) {
    *tape = {input_NI, low_rank_NR};
  }
  // The adapter's product first: the base's adds it while it writes its own result. The residual, larger than both,
  // comes last, so that bf16 rounds it once.
  const at::Tensor other_NO = MatMul(low_rank_NR.to(input_NI.scalar_type()), adapter->b_OR);
  at::Tensor y_NO = weight_OI_.Apply(input_NI, bias_O_, other_NO);
  return residual_NO.defined() ? y_NO.add_(residual_NO) : y_NO;
}

at::Tensor Linear::Backward(const at::Tensor& grad_NO, const BlockContext& context, const LinearTape& tape,
                            at::Tensor* flat_grad, bool need_input_gradient, const at::Tensor& sum_NI) const {
  const BlockAdapters::Pair* adapter = context.adapters.Find(module_);
  if (adapter == nullptr) {
    return need_input_gradient ? weight_OI_.ApplyTransposed(grad_NO, sum_NI) : at::Tensor();
  }
  const AdapterSlot& slot = *adapter->slot;
  const Dropout dropout(context, block_, module_);
  const auto grad_of = [&](int64_t offset, const at::Tensor& like) {
    return flat_grad->narrow(0, offset - context.adapters.flat_begin(), like.numel()).view(like.sizes());
  };
  AddTransposedProduct(grad_NO, tape.low_rank_NR, grad_of(slot.offset_b, adapter->b_OR));
  const at::Tensor grad_low_rank_NR = ThinMatMul(grad_NO, adapter->b_OR.t()).mul_(slot.scale);
  AddTransposedProduct(grad_low_rank_NR, dropout.Apply(tape.input_NI), grad_of(slot.offset_a, adapter->a_RI));
  if (!need_input_gradient) {
    return {};
  }
  const at::Tensor narrow_NR = grad_low_rank_NR.to(grad_NO.scalar_type());
  at::Tensor other_NI;
  if (dropout.active()) {
    other_NI = dropout.Apply(MatMul(narrow_NR, adapter->a_RI.t()));
    other_NI = sum_NI.defined() ? other_NI.add_(sum_NI) : other_NI;
  } else {
    other_NI = MatMul(narrow_NR, adapter->a_RI.t(), {}, sum_NI);
  }
  return weight_OI_.ApplyTransposed(grad_NO, other_NI);
}

}  // namespace splitft::model
