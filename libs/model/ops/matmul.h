#pragma once

#include <ATen/core/Tensor.h>

// Shapes: N rows, I in, O out.
namespace splitft::model {

// x_NI w_OI^T [+ bias_O] [+ other_NO] in one pass over the result, accumulated in fp32. `bias_O` and `other_NO` may be
// undefined; `w_OI` may be a transposed view. The result is a new tensor.
// On x86 this is oneDNN in fp32 as well as bf16: on AMD's cores it is up to 1.7x faster than the MKL that at::mm calls.
at::Tensor MatMul(const at::Tensor& x_NI, const at::Tensor& w_OI, const at::Tensor& bias_O = {},
                  const at::Tensor& other_NO = {});

// x_NI w_OI^T, at least fp32 whatever the inputs' types are, as is how it is added up.
at::Tensor WideMatMul(const at::Tensor& x_NI, const at::Tensor& w_OI);

// target_IO += a_NI^T b_NO for a target that is at least fp32: how a weight's gradient is accumulated.
void AddTransposedProduct(const at::Tensor& a_NI, const at::Tensor& b_NO, at::Tensor target_IO);

}  // namespace splitft::model
