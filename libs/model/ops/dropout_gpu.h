#pragma once

#include <cstdint>

namespace splitft::model {

// Elements [0, count) of one part, contiguous on the current CUDA device; the first has index `first` in its stream.
struct GpuMask {
  const void* x = nullptr;
  void* y = nullptr;
  bool bfloat16 = false;  // else fp32
  int64_t count = 0;
  int64_t first = 0;
  uint32_t threshold = 0;  // kept where the 24 random bits are at least this
  float scale = 1;
  uint32_t key[2] = {};  // RandomStream::key() and salt()
  uint32_t salt[2] = {};
};

// Queues y = mask * scale * x on `stream` (a cudaStream_t). Returns cudaGetLastError().
int ApplyGpuMask(const GpuMask& mask, void* stream);

}  // namespace splitft::model
