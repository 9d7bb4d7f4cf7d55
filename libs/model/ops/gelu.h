#pragma once

#include <ATen/core/Tensor.h>

namespace splitft::model {

// GELU by its tanh approximation (Hendrycks, Gimpel 2016), Hugging Face's `gelu_new`:
//   x * sigmoid(2u), u = sqrt(2 / pi) * (x + 0.044715 x^3), which is 0.5 x (1 + tanh u).
at::Tensor Gelu(const at::Tensor& x);

// Gradient by `x`. Takes over `grad` where it can: on the CPU the result is written into its storage.
at::Tensor GeluBackward(at::Tensor grad, const at::Tensor& x);

}  // namespace splitft::model
