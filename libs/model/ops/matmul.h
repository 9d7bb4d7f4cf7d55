#pragma once

#include <ATen/core/Tensor.h>

// Shapes: N rows, I in, O out.
namespace splitft::model {

// x_NI w_OI^T [+ bias_O] [+ other_NO] in one pass over the result, accumulated in fp32. `bias_O` and `other_NO` may be
// undefined; `w_OI` may be a transposed view. The result is a new tensor.
// On x86 this is oneDNN in fp32 as well as bf16: on AMD's cores it is up to 1.7x faster than the MKL that at::mm calls.
at::Tensor MatMul(const at::Tensor& x_NI, const at::Tensor& w_OI, const at::Tensor& bias_O = {},
                  const at::Tensor& other_NO = {});

// `w_OI` in the layout that MatMul is fastest with, for weights that are used again and again; MatMul's `w_OI` alone
// may be such a tensor. A copy in bf16 on a CPU with AVX-512, else `w_OI` itself.
at::Tensor PackForMatMul(const at::Tensor& w_OI);

}  // namespace splitft::model
