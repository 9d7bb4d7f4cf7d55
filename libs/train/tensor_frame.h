#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "libs/protocol/frame.h"
#include "libs/spec/job.h"

namespace splitft::train {

// What hidden states travel as: the job's codec, or for kAuto its compute dtype.
protocol::WireFormat HiddenFormat(const spec::FineTuneJob& job);

// `tensor`'s numbers as `format` (kFp32, kBf16 or kInt32), row-major. Shares the storage of a contiguous CPU tensor
// that is of that type already: whoever overwrites it in place must clone first.
protocol::Payload ToPayload(const at::Tensor& tensor, protocol::WireFormat format);

// The payload as a tensor of `options`' dtype and device; shares the payload's memory where nothing has to change, so
// it must not be written to. The payload's size has been checked (protocol/frame_check.h).
at::Tensor FromPayload(const protocol::Payload& payload, protocol::WireFormat format, const std::vector<int64_t>& shape,
                       const at::TensorOptions& options);

}  // namespace splitft::train
