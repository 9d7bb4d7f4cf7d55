// links: transport
//
// Arbitrary bytes as a message of the stream: decoding and checking must end with a frame or an error, never with
// anything else. The first byte chooses where the message is cut into slices, and which side receives it.
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "libs/protocol/frame_check.h"
#include "libs/protocol/step_machine.h"
#include "libs/transport/frame_codec.h"

namespace {

using splitft::protocol::ExpectedFrame;
using splitft::protocol::Frame;
using splitft::protocol::Side;

constexpr int64_t kMaxPayloadBytes = 4096;

grpc::ByteBuffer InSlices(const uint8_t* data, size_t size, size_t step) {
  std::vector<grpc::Slice> slices;
  for (size_t begin = 0; begin < size; begin += step) {
    slices.emplace_back(data + begin, std::min(step, size - begin));
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

ExpectedFrame ExpectedFor(const Frame& frame, uint8_t choice) {
  ExpectedFrame expected;
  expected.sender = (choice & 1) != 0 ? Side::kClient : Side::kAggregator;
  expected.labels_on_server = (choice & 2) != 0;
  expected.job_uid = frame.key.job_uid;
  expected.client = frame.key.client;
  expected.format = frame.tensor.format;
  expected.hidden_size = frame.tensor.shape.size() == 2 ? frame.tensor.shape[1] : 8;
  expected.max_tokens = 1 << 20;
  expected.adapter_elements = frame.tensor.shape.size() == 1 ? frame.tensor.shape[0] : 8;
  expected.vocabulary_size = 1000;
  expected.max_payload_bytes = kMaxPayloadBytes;
  return expected;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  const uint8_t choice = data[0];
  const absl::StatusOr<Frame> frame =
      splitft::transport::DecodeFrame(InSlices(data + 1, size - 1, 1 + (choice >> 2)), kMaxPayloadBytes);
  if (!frame.ok()) {
    return 0;
  }
  const absl::Status checked = splitft::protocol::CheckFrame(*frame, ExpectedFor(*frame, choice));
  auto machine = splitft::protocol::StepMachine::Create({{frame->key.client, "other"}, (choice & 2) != 0});
  if (!machine.ok() || !machine->BeginStep(frame->key.step, frame->key.attempt, 2).ok()) {
    return 0;
  }
  (void)machine->Accept(frame->key);
  // A frame that passed says the truth about its own size, and comes back from its own encoding.
  const absl::StatusOr<grpc::ByteBuffer> again = splitft::transport::EncodeFrame(*frame, kMaxPayloadBytes);
  if (checked.ok() && (!again.ok() || !splitft::transport::DecodeFrame(*again, kMaxPayloadBytes).ok())) {
    std::abort();
  }
  return 0;
}
