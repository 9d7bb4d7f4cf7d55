#include "libs/model/ops/dropout.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mul.h>

#include "libs/model/ops/cpu_kernel.h"

#ifdef SPLITFT_CUDA
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAStream.h>

#include "libs/model/ops/dropout_gpu.h"
#endif

namespace splitft::model {
namespace {

bool HasGpuKernel(const at::Tensor& x) {
#ifdef SPLITFT_CUDA
  return x.is_cuda() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
#else
  (void)x;
  return false;
#endif
}

}  // namespace

RandomStream Dropout::StreamOf(const BatchPart& part) const {
  constexpr uint64_t kModulesPerBlock = 64;
  return RandomStream({context_.seed, RandomPurpose::kDropout, part.client, part.step,
                       static_cast<uint64_t>(block_) * kModulesPerBlock + static_cast<uint64_t>(module_)});
}

at::Tensor Dropout::Apply(const at::Tensor& x_NI) const {
  if (!active()) {
    return x_NI;
  }
  const at::Tensor x = x_NI.contiguous();
  at::Tensor y = at::empty_like(x);
  int64_t first_row = 0;
  for (const BatchPart& part : context_.layout.parts) {
    const int64_t rows = part.tokens();
    const at::Tensor part_x = x.narrow(0, first_row, rows);
    const at::Tensor part_y = y.narrow(0, first_row, rows);
    const int64_t first_element = part.first_token * x.size(1);
    if (HasCpuKernel(x)) {
      ApplyCpu(StreamOf(part), first_element, part_x, part_y);
    } else if (HasGpuKernel(x)) {
      ApplyGpu(StreamOf(part), first_element, part_x, part_y);
    } else {
      ApplyAten(StreamOf(part), first_element, part_x, part_y);
    }
    first_row += rows;
  }
  return y;
}

void Dropout::ApplyGpu(const RandomStream& stream, int64_t first_element, const at::Tensor& x,
                       const at::Tensor& y) const {
#ifdef SPLITFT_CUDA
  const GpuMask mask = {.x = x.const_data_ptr(),
                        .y = y.mutable_data_ptr(),
                        .bfloat16 = x.scalar_type() == at::kBFloat16,
                        .count = x.numel(),
                        .first = first_element,
                        .threshold = Threshold(),
                        .scale = Scale(),
                        .key = {stream.key()[0], stream.key()[1]},
                        .salt = {stream.salt()[0], stream.salt()[1]}};
  C10_CUDA_CHECK(static_cast<cudaError_t>(ApplyGpuMask(mask, c10::cuda::getCurrentCUDAStream().stream())));
#else
  ApplyAten(stream, first_element, x, y);
#endif
}

void Dropout::ApplyAten(const RandomStream& stream, int64_t first_element, const at::Tensor& x,
                        const at::Tensor& y) const {
  at::Tensor mask = at::empty(x.sizes(), at::kFloat);
  auto* keep = mask.data_ptr<float>();
  for (int64_t i = 0; i < mask.numel(); ++i) {
    keep[i] =
        stream.Uniform(static_cast<uint64_t>(first_element + i)) >= static_cast<float>(context_.dropout) ? Scale() : 0;
  }
  y.copy_(at::mul(x, mask.to(x.options())));
}

}  // namespace splitft::model
