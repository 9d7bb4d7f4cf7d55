#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "libs/protocol/int8_codec.h"
#include "libs/train/int8_gpu.h"

// The arithmetic is that of libs/protocol/int8_codec.cc; __fmul_rn and __fdiv_rn keep the compiler from another.
namespace splitft::train {
namespace {

constexpr int kGroups = 32;  // of Philox, four words each, for 256 columns
constexpr int kChunk = 8 * kGroups;
constexpr int kThreads = 128;
constexpr float kOne = 65536.0F;  // 16 bits behind the point
constexpr float kMost = 127 * kOne;
constexpr uint32_t kHalf = 0x8000U;
constexpr int kInfinityBits = 0x7F800000;
constexpr int kNanBits = 0x7FC00000;

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

__device__ float ScaleOf(int largest_bits) {
  if (largest_bits >= kInfinityBits) {
    return __int_as_float(kNanBits);
  }
  return largest_bits == 0 ? 0.0F : fmaxf(__fdiv_rn(__int_as_float(largest_bits), 127.0F), protocol::kInt8MinScale);
}

__device__ int8_t Quantize(float x, float inverse, uint32_t up) {
  const float scaled = fmaxf(fminf(__fmul_rn(x, inverse), kMost), -kMost);
  return static_cast<int8_t>((__float2int_rz(scaled) + static_cast<int>(up)) >> 16);
}

// The bits of the row's largest absolute value, by all threads of the block.
template <typename T>
__device__ int LargestBits(const T* in, int64_t columns) {
  __shared__ int largest;
  if (threadIdx.x == 0) {
    largest = 0;
  }
  __syncthreads();
  int most = 0;
  for (int64_t i = threadIdx.x; i < columns; i += kThreads) {
    most = max(most, __float_as_int(static_cast<float>(in[i])) & 0x7FFFFFFF);
  }
  most = __reduce_max_sync(0xFFFFFFFFU, most);
  if (threadIdx.x % warpSize == 0) {
    atomicMax(&largest, most);
  }
  __syncthreads();
  return largest;
}

// One block per row; one evaluation of Philox, and the eight columns that it serves, per thread and turn.
template <typename T>
__global__ void EncodeRow(GpuInt8Rows work, const T* numbers, float* scales, int8_t* integers) {
  const int64_t row = blockIdx.x;
  const T* const in = numbers + row * work.columns;
  int8_t* const out = integers + row * work.columns;
  const float scale = ScaleOf(LargestBits(in, work.columns));
  if (threadIdx.x == 0) {
    scales[row] = scale;
  }
  const bool valid = scale > 0;
  const float inverse = valid ? __fdiv_rn(kOne, scale) : 0.0F;
  for (int64_t group = threadIdx.x; group / kGroups * kChunk < work.columns; group += kThreads) {
    uint4 draw = make_uint4(kHalf << 16 | kHalf, kHalf << 16 | kHalf, kHalf << 16 | kHalf, kHalf << 16 | kHalf);
    if (work.with_noise) {
      draw = Philox(make_uint4(static_cast<uint32_t>(group), static_cast<uint32_t>(row), work.salt[0], work.salt[1]),
                    work.key[0], work.key[1]);
    }
    const uint32_t words[4] = {draw.x, draw.y, draw.z, draw.w};
    const int64_t first = group / kGroups * kChunk + group % kGroups * 2;
    for (int half = 0; half < 8; ++half) {
      const int64_t column = first + half / 2 * (2 * kGroups) + half % 2;
      if (column < work.columns) {
        const uint32_t up = half % 2 == 0 ? words[half / 2] & 0xFFFFU : words[half / 2] >> 16;
        out[column] = valid ? Quantize(static_cast<float>(in[column]), inverse, up) : 0;
      }
    }
  }
}

template <typename T>
__global__ void DecodeRow(GpuInt8Rows work, const float* scales, const int8_t* integers, T* numbers) {
  const int64_t row = blockIdx.x;
  const float scale = scales[row];
  for (int64_t i = threadIdx.x; i < work.columns; i += kThreads) {
    const int64_t element = row * work.columns + i;
    numbers[element] = static_cast<T>(__fmul_rn(static_cast<float>(integers[element]), scale));
  }
}

}  // namespace

int EncodeInt8Gpu(const GpuInt8Rows& work, const void* numbers, void* payload, void* stream) {
  if (work.rows == 0) {
    return cudaSuccess;  // a grid of no block is an error
  }
  auto* const scales = static_cast<float*>(payload);
  auto* const integers = reinterpret_cast<int8_t*>(scales + work.rows);
  const auto blocks = static_cast<unsigned>(work.rows);
  auto* const queue = static_cast<cudaStream_t>(stream);
  if (work.bfloat16) {
    EncodeRow<<<blocks, kThreads, 0, queue>>>(work, static_cast<const __nv_bfloat16*>(numbers), scales, integers);
  } else {
    EncodeRow<<<blocks, kThreads, 0, queue>>>(work, static_cast<const float*>(numbers), scales, integers);
  }
  return static_cast<int>(cudaGetLastError());
}

int DecodeInt8Gpu(const GpuInt8Rows& work, const void* payload, void* numbers, void* stream) {
  if (work.rows == 0) {
    return cudaSuccess;
  }
  const auto* const scales = static_cast<const float*>(payload);
  const auto* const integers = reinterpret_cast<const int8_t*>(scales + work.rows);
  const auto blocks = static_cast<unsigned>(work.rows);
  auto* const queue = static_cast<cudaStream_t>(stream);
  if (work.bfloat16) {
    DecodeRow<<<blocks, kThreads, 0, queue>>>(work, scales, integers, static_cast<__nv_bfloat16*>(numbers));
  } else {
    DecodeRow<<<blocks, kThreads, 0, queue>>>(work, scales, integers, static_cast<float*>(numbers));
  }
  return static_cast<int>(cudaGetLastError());
}

}  // namespace splitft::train
