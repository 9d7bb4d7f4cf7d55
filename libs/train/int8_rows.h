#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "libs/base/random.h"
#include "libs/protocol/frame.h"

// Tensors as protocol/int8_codec.h has rows on the wire, on the CPU's threads or on the GPU that the tensor is on: the
// same bytes either way.
namespace splitft::train {

// `rows_ND` encoded, with `noise` or to the nearest.
protocol::Payload Int8Payload(const at::Tensor& rows_ND, const std::optional<RandomStream>& noise);

// The reverse, of a payload that has passed protocol/frame_check.h, as a tensor of `options`' dtype and device.
at::Tensor Int8Tensor(const protocol::Payload& payload, const std::vector<int64_t>& shape,
                      const at::TensorOptions& options);

}  // namespace splitft::train
