#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "libs/model/ops/dropout_gpu.h"

namespace splitft::model {
namespace {

constexpr int kGroup = 4;  // words of one Philox evaluation

// libs/base/random.cc's Philox4x32-10.
__device__ uint4 Philox(uint4 c, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const uint32_t high0 = __umulhi(0xD2511F53U, c.x);
    const uint32_t high1 = __umulhi(0xCD9E8D57U, c.z);
    c = make_uint4(high1 ^ c.y ^ k0, 0xCD9E8D57U * c.z, high0 ^ c.w ^ k1, 0xD2511F53U * c.x);
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return c;
}

// One thread per group of four elements.
template <typename T>
__global__ void ApplyMask(GpuMask mask) {
  const int64_t thread = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const int64_t group = mask.first / kGroup + thread;
  const int64_t begin = group * kGroup - mask.first;
  if (begin >= mask.count) {
    return;
  }
  const auto low = static_cast<uint32_t>(group);
  const auto high = static_cast<uint32_t>(static_cast<uint64_t>(group) >> 32);
  const uint4 draw = Philox(make_uint4(low, high, mask.salt[0], mask.salt[1]), mask.key[0], mask.key[1]);
  const uint32_t words[kGroup] = {draw.x, draw.y, draw.z, draw.w};
  const T* x = static_cast<const T*>(mask.x);
  T* y = static_cast<T*>(mask.y);
  for (int j = 0; j < kGroup; ++j) {
    const int64_t i = begin + j;
    if (i >= 0 && i < mask.count) {
      const float kept = static_cast<float>(x[i]) * mask.scale;
      y[i] = static_cast<T>((words[j] >> 8) >= mask.threshold ? kept : 0.0F);
    }
  }
}

}  // namespace

int ApplyGpuMask(const GpuMask& mask, void* stream) {
  constexpr int kThreads = 256;
  const int64_t groups = mask.count / kGroup + 2;  // the part may begin and end inside a group
  const auto blocks = static_cast<unsigned>((groups + kThreads - 1) / kThreads);
  auto* const queue = static_cast<cudaStream_t>(stream);
  if (mask.bfloat16) {
    ApplyMask<__nv_bfloat16><<<blocks, kThreads, 0, queue>>>(mask);
  } else {
    ApplyMask<float><<<blocks, kThreads, 0, queue>>>(mask);
  }
  return static_cast<int>(cudaGetLastError());
}

}  // namespace splitft::model
