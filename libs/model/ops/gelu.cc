#include "libs/model/ops/gelu.h"

#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>

#include "libs/model/ops/cpu_kernel.h"
#include "libs/model/ops/gelu_cpu.h"

namespace splitft::model {

at::Tensor Gelu(const at::Tensor& x) { return HasCpuKernel(x) ? GeluCpu(x) : at::gelu(x, "tanh"); }

at::Tensor GeluBackward(at::Tensor grad, const at::Tensor& x) {
  if (!HasCpuKernel(x)) {
    return at::gelu_backward(grad, x, "tanh");
  }
  GeluBackwardCpu(x, &grad);
  return grad;
}

}  // namespace splitft::model
