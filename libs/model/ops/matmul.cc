#include "libs/model/ops/matmul.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/add.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include <optional>
#include <string_view>

namespace splitft::model {
namespace {

using LinearSchema = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                c10::string_view, c10::List<std::optional<at::Scalar>>,
                                std::optional<c10::string_view>);
using LinearAddSchema = at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                   const std::optional<at::Tensor>&, c10::string_view);

// The oneDNN linear operators that LibTorch registers for its compiler; absent from builds without oneDNN.
struct OneDnn {
  std::optional<c10::TypedOperatorHandle<LinearSchema>> linear;
  std::optional<c10::TypedOperatorHandle<LinearAddSchema>> linear_add;

  OneDnn() {
    auto& dispatcher = c10::Dispatcher::singleton();
    const auto plain = dispatcher.findSchema({"mkldnn::_linear_pointwise", ""});
    const auto binary = dispatcher.findSchema({"mkldnn::_linear_pointwise", "binary"});
    if (plain && binary && plain->hasKernelForDispatchKey(c10::DispatchKey::CPU)) {
      linear = plain->typed<LinearSchema>();
      linear_add = binary->typed<LinearAddSchema>();
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

at::Tensor Wide(const at::Tensor& x) { return x.scalar_type() == at::kBFloat16 ? x.to(at::kFloat) : x; }

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

at::Tensor WideMatMul(const at::Tensor& x_NI, const at::Tensor& w_OI) {
  if (x_NI.is_cuda() && x_NI.scalar_type() == at::kBFloat16) {
    return at::mm(x_NI, w_OI.to(at::kBFloat16).t(), at::kFloat);  // tensor cores add up in fp32 anyway
  }
  return MatMul(Wide(x_NI), Wide(w_OI));
}

void AddTransposedProduct(const at::Tensor& a_NI, const at::Tensor& b_NO, at::Tensor target_IO) {
  if (a_NI.is_cuda() && (a_NI.scalar_type() == at::kBFloat16 || b_NO.scalar_type() == at::kBFloat16)) {
    target_IO.add_(at::mm(a_NI.to(at::kBFloat16).t(), b_NO.to(at::kBFloat16), at::kFloat));
  } else {
    target_IO.addmm_(Wide(a_NI).t(), Wide(b_NO));
  }
}

}  // namespace splitft::model
