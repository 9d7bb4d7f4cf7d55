#include "libs/train/int8_rows.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "libs/protocol/int8_codec.h"

#ifdef SPLITFT_CUDA
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include "libs/train/int8_gpu.h"
#endif

namespace splitft::train {
namespace {

#ifdef SPLITFT_CUDA
constexpr bool kHasGpuKernels = true;
#else
constexpr bool kHasGpuKernels = false;
#endif

// What the kernels read and write; numbers of another type go by way of float.
at::ScalarType KernelType(at::ScalarType type) { return type == at::kBFloat16 ? at::kBFloat16 : at::kFloat; }

// Rows for one thread at least: some ten microseconds.
int64_t RowGrain(int64_t columns) { return std::max<int64_t>(1, (int64_t{1} << 16) / std::max<int64_t>(1, columns)); }

// Calls `work` for bf16 or float, as `type` says, and every thread's share of the rows.
template <typename Work>
void ForRows(at::ScalarType type, int64_t rows, int64_t columns, const Work& work) {
  at::parallel_for(0, rows, RowGrain(columns), [&](int64_t begin, int64_t end) {
    const protocol::Int8Rows part = {.rows = rows, .columns = columns, .begin = begin, .end = end};
    type == at::kBFloat16 ? work(uint16_t{}, part) : work(float{}, part);
  });
}

#ifdef SPLITFT_CUDA
at::Tensor EncodeOnGpu(const at::Tensor& rows_ND, const std::optional<RandomStream>& noise) {
  const c10::cuda::CUDAGuard guard(rows_ND.device());
  at::Tensor bytes =
      at::empty({rows_ND.size(0) * (int64_t{sizeof(float)} + rows_ND.size(1))}, rows_ND.options().dtype(at::kByte));
  GpuInt8Rows work = {.bfloat16 = rows_ND.scalar_type() == at::kBFloat16,
                      .rows = rows_ND.size(0),
                      .columns = rows_ND.size(1),
                      .with_noise = noise.has_value()};
  if (noise) {
    std::copy_n(noise->key().begin(), 2, work.key);
    std::copy_n(noise->salt().begin(), 2, work.salt);
  }
  C10_CUDA_CHECK(static_cast<cudaError_t>(EncodeInt8Gpu(work, rows_ND.const_data_ptr(), bytes.mutable_data_ptr(),
                                                        c10::cuda::getCurrentCUDAStream().stream())));
  return bytes;
}

void DecodeOnGpu(const at::Tensor& bytes, const at::Tensor& rows_ND) {
  const c10::cuda::CUDAGuard guard(rows_ND.device());
  const GpuInt8Rows work = {
      .bfloat16 = rows_ND.scalar_type() == at::kBFloat16, .rows = rows_ND.size(0), .columns = rows_ND.size(1)};
  C10_CUDA_CHECK(static_cast<cudaError_t>(DecodeInt8Gpu(work, bytes.const_data_ptr(), rows_ND.mutable_data_ptr(),
                                                        c10::cuda::getCurrentCUDAStream().stream())));
}
#else
// Nobody calls them: kHasGpuKernels.
at::Tensor EncodeOnGpu(const at::Tensor& rows_ND, const std::optional<RandomStream>& /*noise*/) { return rows_ND; }
void DecodeOnGpu(const at::Tensor& /*bytes*/, const at::Tensor& /*rows_ND*/) {}
#endif

at::Tensor EncodeOnCpu(const at::Tensor& rows_ND, const std::optional<RandomStream>& noise) {
  const int64_t rows = rows_ND.size(0);
  const int64_t columns = rows_ND.size(1);
  at::Tensor bytes = at::empty({rows * (int64_t{sizeof(float)} + columns)}, at::kByte);
  auto* const payload = static_cast<std::byte*>(bytes.mutable_data_ptr());
  const void* const numbers = rows_ND.const_data_ptr();
  ForRows(rows_ND.scalar_type(), rows, columns, [&]<typename Number>(Number, const protocol::Int8Rows& part) {
    protocol::EncodeInt8(static_cast<const Number*>(numbers), part, noise, payload);
  });
  return bytes;
}

}  // namespace

protocol::Payload Int8Payload(const at::Tensor& rows_ND, const std::optional<RandomStream>& noise) {
  const bool on_gpu = kHasGpuKernels && rows_ND.is_cuda();
  const at::Tensor numbers =
      rows_ND.to(on_gpu ? rows_ND.device() : at::Device(at::kCPU), KernelType(rows_ND.scalar_type())).contiguous();
  const at::Tensor bytes = on_gpu ? EncodeOnGpu(numbers, noise).cpu() : EncodeOnCpu(numbers, noise);
  auto held = std::make_shared<const at::Tensor>(bytes);
  const std::span view(static_cast<const std::byte*>(held->const_data_ptr()), held->nbytes());
  return {std::move(held), view};
}

at::Tensor Int8Tensor(const protocol::Payload& payload, const std::vector<int64_t>& shape,
                      const at::TensorOptions& options) {
  const std::byte* const bytes = payload.bytes().data();
  const at::ScalarType type = KernelType(c10::typeMetaToScalarType(options.dtype()));
  const bool on_gpu = kHasGpuKernels && options.device().is_cuda();
  const at::Tensor rows_ND = at::empty(shape, at::TensorOptions(on_gpu ? options.device() : at::kCPU).dtype(type));
  if (on_gpu) {
    // from_blob wants a mutable pointer; nobody writes through it.
    const at::Tensor here =
        at::from_blob(const_cast<std::byte*>(bytes), {static_cast<int64_t>(payload.bytes().size())}, at::kByte);
    DecodeOnGpu(here.to(options.device()), rows_ND);
  } else {
    void* const numbers = rows_ND.mutable_data_ptr();
    ForRows(type, shape[0], shape[1], [&]<typename Number>(Number, const protocol::Int8Rows& part) {
      protocol::DecodeInt8(bytes, part, static_cast<Number*>(numbers));
    });
  }
  return rows_ND.to(options);
}

}  // namespace splitft::train
