#include "libs/model/ops/swiglu.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>

#include "libs/model/ops/cpu_kernel.h"
#include "libs/model/ops/swiglu_cpu.h"

namespace splitft::model {

at::Tensor SwiGlu(const at::Tensor& gate, const at::Tensor& up) {
  return HasCpuKernel(gate) ? SwiGluCpu(gate, up) : at::silu(gate) * up;
}

SwiGluGrad SwiGluBackward(at::Tensor grad, const at::Tensor& gate, const at::Tensor& up) {
  if (HasCpuKernel(gate)) {
    at::Tensor grad_up = SwiGluBackwardCpu(gate, up, &grad);
    return {grad, grad_up};
  }
  const at::ScalarType wide = gate.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor g = gate.to(wide);
  const at::Tensor s = at::sigmoid(g);
  const at::Tensor d = grad.to(wide);
  return {(d * up * (s * (1 + g * (1 - s)))).to(gate.scalar_type()), (d * g * s).to(gate.scalar_type())};
}

}  // namespace splitft::model
