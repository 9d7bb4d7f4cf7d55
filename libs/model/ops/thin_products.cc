#include "libs/model/ops/thin_products.h"

#include <ATen/ops/add.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mm.h>

#include "libs/model/ops/cpu_kernel.h"
#include "libs/model/ops/thin_products_cpu.h"

namespace splitft::model {
namespace {

bool IsNarrow(const at::Tensor& x) { return x.scalar_type() == at::kBFloat16; }

at::Tensor Wide(const at::Tensor& x) { return IsNarrow(x) ? x.to(at::kFloat) : x; }

}  // namespace

at::Tensor ThinMatMul(const at::Tensor& x_NI, const at::Tensor& w_RI) {
  if (HasCpuKernel(x_NI)) {
    return ThinMatMulCpu(x_NI.contiguous(), w_RI);
  }
  if (x_NI.is_cuda() && IsNarrow(x_NI)) {
    return at::mm(x_NI, w_RI.to(at::kBFloat16).t(), at::kFloat);  // tensor cores add up in fp32 anyway
  }
  return at::linear(Wide(x_NI), Wide(w_RI));
}

void AddTransposedProduct(const at::Tensor& a_NI, const at::Tensor& b_NO, at::Tensor target_IO) {
  if (HasCpuKernel(a_NI) && HasCpuKernel(b_NO)) {
    const bool a_is_thin = a_NI.size(1) < b_NO.size(1);
    AddThinProductCpu(a_is_thin ? b_NO.contiguous() : a_NI.contiguous(), a_is_thin ? a_NI : b_NO, a_is_thin,
                      &target_IO);
  } else if (a_NI.is_cuda() && (IsNarrow(a_NI) || IsNarrow(b_NO))) {
    target_IO.add_(at::mm(a_NI.to(at::kBFloat16).t(), b_NO.to(at::kBFloat16), at::kFloat));
  } else {
    target_IO.addmm_(Wide(a_NI).t(), Wide(b_NO));
  }
}

}  // namespace splitft::model
