#include "libs/train/tensor_frame.h"

#include <ATen/ops/from_blob.h>

#include <memory>

#include "libs/train/int8_rows.h"

namespace splitft::train {
namespace {

at::ScalarType ScalarTypeOf(protocol::WireFormat format) {
  switch (format) {
    case protocol::WireFormat::kBf16:
      return at::kBFloat16;
    case protocol::WireFormat::kInt32:
      return at::kInt;
    default:
      return at::kFloat;
  }
}

}  // namespace

protocol::WireFormat HiddenFormat(const spec::FineTuneJob& job) {
  if (job.split.codec == spec::Codec::kInt8) {
    return protocol::WireFormat::kInt8;
  }
  const bool bf16 = job.split.codec == spec::Codec::kBf16 ||
                    (job.split.codec == spec::Codec::kAuto && job.model.dtype == spec::Dtype::kBfloat16);
  return bf16 ? protocol::WireFormat::kBf16 : protocol::WireFormat::kFp32;
}

std::optional<RandomStream> RoundingNoise(uint64_t seed, const protocol::FrameKey& key) {
  if (key.kind != protocol::FrameKind::kGradientUp && key.kind != protocol::FrameKind::kGradientDown) {
    return std::nullopt;
  }
  return RandomStream({.seed = seed,
                       .purpose = RandomPurpose::kRounding,
                       .client = HashName(key.client),
                       .step = key.step,
                       .block = uint64_t{key.microbatch} << 32 | static_cast<uint64_t>(key.kind)});
}

protocol::Payload ToPayload(const at::Tensor& tensor, protocol::WireFormat format,
                            const std::optional<RandomStream>& noise) {
  if (format == protocol::WireFormat::kInt8) {
    return Int8Payload(tensor, noise);
  }
  auto held = std::make_shared<const at::Tensor>(tensor.to(at::kCPU, ScalarTypeOf(format)).contiguous());
  const std::span bytes(static_cast<const std::byte*>(held->const_data_ptr()), held->nbytes());
  return {std::move(held), bytes};
}

at::Tensor FromPayload(const protocol::Payload& payload, protocol::WireFormat format, const std::vector<int64_t>& shape,
                       const at::TensorOptions& options) {
  if (format == protocol::WireFormat::kInt8) {
    return Int8Tensor(payload, shape, options);
  }
  // from_blob wants a mutable pointer; nobody writes through it.
  auto* data = const_cast<std::byte*>(payload.bytes().data());
  const at::Tensor shared = at::from_blob(
      data, shape, [owner = payload.owner()](void*) {}, at::TensorOptions().dtype(ScalarTypeOf(format)));
  return shared.to(options);
}

}  // namespace splitft::train
