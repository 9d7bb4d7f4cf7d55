#include "libs/transport/frame_codec.h"

#include <gmock/gmock.h>
#include <grpcpp/support/slice.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace splitft::transport {
namespace {

using protocol::Frame;
using protocol::FrameKind;
using protocol::Payload;
using protocol::WireFormat;
using ::testing::HasSubstr;

Payload PayloadOf(size_t size) {
  std::shared_ptr<std::byte> memory = NewPayloadMemory(size);
  for (size_t i = 0; i < size; ++i) {
    memory.get()[i] = static_cast<std::byte>(i * 31);
  }
  const std::span<const std::byte> view(memory.get(), size);
  return Payload(std::move(memory), view);
}

Frame HiddenFrame(size_t payload_bytes) {
  Frame frame;
  frame.key = {.job_uid = "5f3c",
               .attempt = 4,
               .client = "bank",
               .step = 1ULL << 40,
               .microbatch = 3,
               .kind = FrameKind::kHiddenUp};
  frame.tensor = {
      .format = WireFormat::kFp32, .shape = {static_cast<int64_t>(payload_bytes / 4), 1}, .runs = {{1, 2}, {3, 4}}};
  frame.payload = PayloadOf(payload_bytes);
  return frame;
}

grpc::ByteBuffer MustEncode(const Frame& frame) {
  absl::StatusOr<grpc::ByteBuffer> buffer = EncodeFrame(frame, kDefaultMaxPayloadBytes);
  EXPECT_TRUE(buffer.ok()) << buffer.status();
  return *std::move(buffer);
}

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(buffer.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// The message cut into slices of `step` bytes.
grpc::ByteBuffer InSlices(const std::string& bytes, size_t step) {
  std::vector<grpc::Slice> slices;
  for (size_t begin = 0; begin < bytes.size(); begin += step) {
    slices.emplace_back(bytes.substr(begin, step));
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

absl::Status DecodeError(const std::string& bytes) {
  return DecodeFrame(InSlices(bytes, bytes.size() + 1), 1000).status();
}

void ExpectSame(const Frame& actual, const Frame& expected) {
  EXPECT_EQ(actual.key, expected.key);
  EXPECT_EQ(actual.tensor, expected.tensor);
  EXPECT_EQ(actual.body, expected.body);
  ASSERT_EQ(actual.payload.bytes().size(), expected.payload.bytes().size());
  EXPECT_TRUE(
      std::equal(actual.payload.bytes().begin(), actual.payload.bytes().end(), expected.payload.bytes().begin()));
}

TEST(FrameCodec, EveryBodyComesBack) {
  const std::vector<protocol::FrameBody> bodies = {
      std::monostate(),
      protocol::Hello{.protocol_version = 7,
                      .model_digest = ~0ULL,
                      .adapter_elements = 12,
                      .hidden_size = 768,
                      .formats = {WireFormat::kFp32, WireFormat::kBf16},
                      .train_rows = 5,
                      .eval_batches = 6},
      protocol::Welcome{.cut_layer = 2,
                        .tail_blocks = 1,
                        .format = WireFormat::kBf16,
                        .max_frame_bytes = 1 << 20,
                        .total_steps = 9,
                        .next_step = 4},
      protocol::LossReport{.loss_sum = 1.0 / 3, .loss_tokens = 77},
      protocol::StepReport{.head_forward_seconds = 1,
                           .tail_seconds = 2,
                           .head_backward_seconds = 3,
                           .wait_seconds = 4,
                           .tokens = 5,
                           .peak_memory_bytes = 6,
                           .memory_limit_bytes = 7,
                           .cpu_seconds = 8,
                           .throttled_seconds = 9,
                           .cpu_quota = 10},
      protocol::Finish{.reason = "EarlyStopped"},
      protocol::Fault{.code = 8, .message = "no memory"},
      protocol::Assignment{.plan = 3, .cut_layer = 2, .format = WireFormat::kBf16, .microbatches = 4},
      protocol::Prepared{.plan = 3, .refusal = "no memory"}};
  for (const protocol::FrameBody& body : bodies) {
    Frame frame = HiddenFrame(16);
    frame.body = body;
    const grpc::ByteBuffer buffer = MustEncode(frame);
    EXPECT_EQ(static_cast<int64_t>(buffer.Length()), EncodedFrameBytes(frame));
    const absl::StatusOr<Frame> back = DecodeFrame(buffer, kDefaultMaxPayloadBytes);
    ASSERT_TRUE(back.ok()) << back.status();
    ExpectSame(*back, frame);
  }
}

TEST(FrameCodec, HowTheMessageIsCutDoesNotMatter) {
  const Frame frame = HiddenFrame(400);
  const std::string bytes = Bytes(MustEncode(frame));
  for (const size_t step : {size_t{1}, size_t{3}, size_t{15}, size_t{16}, size_t{17}, size_t{100}, bytes.size()}) {
    const absl::StatusOr<Frame> back = DecodeFrame(InSlices(bytes, step), 1000);
    ASSERT_TRUE(back.ok()) << back.status() << " in slices of " << step;
    ExpectSame(*back, frame);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(back->payload.bytes().data()) % kPayloadAlignment, 0u);
  }
}

TEST(FrameCodec, PayloadsAreSharedNotCopied) {
  Frame frame = HiddenFrame(4096);
  const std::byte* memory = frame.payload.bytes().data();
  const std::weak_ptr<const void> owner = frame.payload.owner();
  grpc::ByteBuffer buffer = MustEncode(frame);
  frame.payload = {};
  EXPECT_FALSE(owner.expired());
  absl::StatusOr<Frame> back = DecodeFrame(buffer, kDefaultMaxPayloadBytes);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->payload.bytes().data(), memory);  // one aligned slice: shared on the way in, too
  buffer.Clear();
  EXPECT_FALSE(owner.expired());
  back->payload = {};
  EXPECT_TRUE(owner.expired());
}

TEST(FrameCodec, TruncatedMessagesAreNoFrames) {
  const std::string bytes = Bytes(MustEncode(HiddenFrame(64)));
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(DecodeError(bytes.substr(0, size)).code(), absl::StatusCode::kInvalidArgument) << size;
  }
  EXPECT_EQ(DecodeError(bytes + "x").code(), absl::StatusCode::kInvalidArgument);
}

TEST(FrameCodec, DamagedPrefixesAreTold) {
  const std::string bytes = Bytes(MustEncode(HiddenFrame(64)));
  std::string damaged = bytes;
  damaged[3] = '2';
  EXPECT_THAT(std::string(DecodeError(damaged).message()), HasSubstr("does not begin with SFT1"));
  damaged = bytes;
  damaged[6] = 1;  // header of 64 KiB and more
  EXPECT_EQ(DecodeError(damaged).code(), absl::StatusCode::kResourceExhausted);
  damaged = bytes;
  std::memset(damaged.data() + 8, 0xFF, 8);
  EXPECT_THAT(std::string(DecodeError(damaged).message()),
              HasSubstr("payload is 18446744073709551615 bytes; expected at most 1000"));
  damaged = bytes;
  ++damaged[4];
  --damaged[8];  // the sum is right, the header is not
  EXPECT_EQ(DecodeError(damaged).code(), absl::StatusCode::kInvalidArgument);
}

TEST(FrameCodec, UnknownKindsAndFormatsAreTold) {
  Frame frame = HiddenFrame(0);
  frame.key.kind = static_cast<FrameKind>(99);
  EXPECT_THAT(std::string(DecodeFrame(MustEncode(frame), 1000).status().message()), HasSubstr("kind is 99"));
  frame = HiddenFrame(0);
  frame.tensor.format = static_cast<WireFormat>(9);
  EXPECT_THAT(std::string(DecodeFrame(MustEncode(frame), 1000).status().message()), HasSubstr("format is 9"));
  frame = HiddenFrame(0);
  frame.body = protocol::Welcome{.format = static_cast<WireFormat>(8)};
  EXPECT_THAT(std::string(DecodeFrame(MustEncode(frame), 1000).status().message()), HasSubstr("welcome.format is 8"));
}

TEST(FrameCodec, AHellosUnknownFormatsAreLeftOut) {
  Frame frame = HiddenFrame(0);
  frame.body = protocol::Hello{.formats = {WireFormat::kFp32, static_cast<WireFormat>(9), WireFormat::kBf16}};
  const absl::StatusOr<Frame> back = DecodeFrame(MustEncode(frame), 1000);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_THAT(std::get<protocol::Hello>(back->body).formats,
              ::testing::ElementsAre(WireFormat::kFp32, WireFormat::kBf16));
}

TEST(FrameCodec, LimitsHoldOnTheWayOut) {
  EXPECT_EQ(EncodeFrame(HiddenFrame(1004), 1000).status().code(), absl::StatusCode::kResourceExhausted);
  Frame frame = HiddenFrame(0);
  frame.tensor.runs.assign(20000, {1000, 1000});
  EXPECT_THAT(std::string(EncodeFrame(frame, 1000).status().message()), HasSubstr("frame header is "));
}

}  // namespace
}  // namespace splitft::transport
