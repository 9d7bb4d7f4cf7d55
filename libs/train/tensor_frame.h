#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "libs/base/random.h"
#include "libs/protocol/frame.h"
#include "libs/spec/job.h"

namespace splitft::train {

// What hidden states travel as: the job's codec, or for kAuto its compute dtype.
protocol::WireFormat HiddenFormat(const spec::FineTuneJob& job);

// What decides which way the numbers of this frame go where kInt8 does not hold them: chance for gradients, so that
// what a step sums is right on average; nothing for hidden states, which go to the nearest. A function of the seed and
// the frame's client, step, microbatch and kind: another attempt at the step sends the same.
std::optional<RandomStream> RoundingNoise(uint64_t seed, const protocol::FrameKey& key);

// `tensor`'s numbers as `format`, row-major; kInt8 for a matrix, with `noise`. Shares the storage of a contiguous CPU
// tensor that is of that type already: whoever overwrites it in place must clone first.
protocol::Payload ToPayload(const at::Tensor& tensor, protocol::WireFormat format,
                            const std::optional<RandomStream>& noise = std::nullopt);

// The payload as a tensor of `options`' dtype and device; shares the payload's memory where nothing has to change, so
// it must not be written to. The payload's size and numbers have been checked (protocol/frame_check.h).
at::Tensor FromPayload(const protocol::Payload& payload, protocol::WireFormat format, const std::vector<int64_t>& shape,
                       const at::TensorOptions& options);

}  // namespace splitft::train
