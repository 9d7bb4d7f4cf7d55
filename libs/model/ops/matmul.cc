#include "libs/model/ops/matmul.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/add.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/linear.h>

#include <optional>
#include <string_view>

namespace splitft::model {
namespace {

using LinearSchema = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                c10::string_view, c10::List<std::optional<at::Scalar>>,
                                std::optional<c10::string_view>);
using PackSchema = at::Tensor(const at::Tensor&, std::optional<int64_t>);
using LinearAddSchema = at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                   const std::optional<at::Tensor>&, c10::string_view);

// The oneDNN linear operators that LibTorch registers for its compiler; absent from builds without oneDNN.
struct OneDnn {
  std::optional<c10::TypedOperatorHandle<LinearSchema>> linear;
  std::optional<c10::TypedOperatorHandle<LinearAddSchema>> linear_add;
  std::optional<c10::TypedOperatorHandle<PackSchema>> pack;

  OneDnn() {
    auto& dispatcher = c10::Dispatcher::singleton();
    const auto plain = dispatcher.findSchema({"mkldnn::_linear_pointwise", ""});
    const auto binary = dispatcher.findSchema({"mkldnn::_linear_pointwise", "binary"});
    const auto reorder = dispatcher.findSchema({"mkldnn::_reorder_linear_weight", ""});
    if (plain && binary && reorder && plain->hasKernelForDispatchKey(c10::DispatchKey::CPU)) {
      linear = plain->typed<LinearSchema>();
      linear_add = binary->typed<LinearAddSchema>();
      pack = reorder->typed<PackSchema>();
    }
  }
};

const OneDnn& SharedOneDnn() {
  static const OneDnn ops;
  return ops;
}

// Without AVX-512, oneDNN's bf16 is its reference code; ATen's own is faster.
bool Suits(const at::Tensor& x) {
  return x.is_cpu() &&
         (x.scalar_type() == at::kFloat || (x.scalar_type() == at::kBFloat16 && __builtin_cpu_supports("avx512bw")));
}

std::optional<at::Tensor> Optional(const at::Tensor& tensor) {
  return tensor.defined() ? std::optional(tensor) : std::nullopt;
}

}  // namespace

at::Tensor MatMul(const at::Tensor& x_NI, const at::Tensor& w_OI, const at::Tensor& bias_O,
                  const at::Tensor& other_NO) {
  const OneDnn& onednn = SharedOneDnn();
  if (Suits(x_NI) && onednn.linear.has_value()) {
    if (other_NO.defined()) {
      return onednn.linear_add->call(x_NI, other_NO, w_OI, Optional(bias_O), "add");
    }
    return onednn.linear->call(x_NI, w_OI, Optional(bias_O), "none", c10::List<std::optional<at::Scalar>>(),
                               std::nullopt);
  }
  if (!other_NO.defined()) {
    return at::linear(x_NI, w_OI, Optional(bias_O));
  }
  const at::Tensor sum = at::addmm(other_NO, x_NI, w_OI.t());
  return bias_O.defined() ? at::add(sum, bias_O) : sum;
}

at::Tensor PackForMatMul(const at::Tensor& w_OI) {
  const OneDnn& onednn = SharedOneDnn();
  const bool gains = w_OI.scalar_type() == at::kBFloat16 && Suits(w_OI) && onednn.pack.has_value();
  return gains ? onednn.pack->call(w_OI.contiguous(), std::nullopt) : w_OI;
}

}  // namespace splitft::model
