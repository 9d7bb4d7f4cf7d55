#pragma once

#include <ATen/core/Tensor.h>

// Shapes: N rows, R rank (few), I in, O out.
namespace splitft::model {

// Products with LoRA's thin factors. PEFT keeps adapters in fp32 whatever the model's type; ours are rounded to it, but
// what these products add up and return is at least fp32: rounded to bf16 it would be a good part of the gradients'
// error.

// x_NI w_RI^T: [N, R], at least fp32. `w_RI` may be a transposed view.
at::Tensor ThinMatMul(const at::Tensor& x_NI, const at::Tensor& w_RI);

// target_IO += a_NI^T b_NO, where I or O is the rank. The target is contiguous and at least fp32. On the CPU each
// element adds up its rows in order, whatever the number of threads.
void AddTransposedProduct(const at::Tensor& a_NI, const at::Tensor& b_NO, at::Tensor target_IO);

}  // namespace splitft::model
