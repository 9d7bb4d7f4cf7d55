#pragma once

#include <cstdint>

namespace splitft::train {

// Rows of numbers, contiguous on the current CUDA device as their payload is; protocol/int8_codec.h says what that
// holds.
struct GpuInt8Rows {
  bool bfloat16 = false;  // else fp32
  int64_t rows = 0;
  int64_t columns = 0;
  bool with_noise = false;  // else to the nearest; for encoding only
  uint32_t key[2] = {};     // RandomStream::key() and salt()
  uint32_t salt[2] = {};
};

// Queue the work on `stream` (a cudaStream_t). Return cudaGetLastError(). The bytes are those of the CPU's kernels.
int EncodeInt8Gpu(const GpuInt8Rows& work, const void* numbers, void* payload, void* stream);
int DecodeInt8Gpu(const GpuInt8Rows& work, const void* payload, void* numbers, void* stream);

}  // namespace splitft::train
