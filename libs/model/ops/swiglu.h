#pragma once

#include <ATen/core/Tensor.h>

namespace splitft::model {

// silu(gate) * up (Shazeer 2020), with silu(x) = x * sigmoid(x).
at::Tensor SwiGlu(const at::Tensor& gate, const at::Tensor& up);

struct SwiGluGrad {
  at::Tensor gate;
  at::Tensor up;
};
// Takes over `grad`: on the CPU the gradient by `gate` is written into its storage.
SwiGluGrad SwiGluBackward(at::Tensor grad, const at::Tensor& gate, const at::Tensor& up);

}  // namespace splitft::model
