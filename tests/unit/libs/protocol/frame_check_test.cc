#include "libs/protocol/frame_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/protocol/finite_scan.h"

namespace splitft::protocol {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

template <typename Number>
Payload PayloadOf(std::vector<Number> numbers) {
  auto owner = std::make_shared<std::vector<Number>>(std::move(numbers));
  const auto bytes = std::as_bytes(std::span<const Number>(*owner));
  return Payload(std::move(owner), bytes);
}

// What a client with 6 tokens a microbatch and 4 numbers a token was told.
ExpectedFrame FromClient() {
  ExpectedFrame expected;
  expected.job_uid = "job-1";
  expected.client = "bank";
  expected.max_attempt = 2;
  expected.first_step = 10;
  expected.last_step = 11;
  expected.hidden_size = 4;
  expected.max_tokens = 6;
  expected.adapter_elements = 5;
  expected.max_microbatches = 4;
  expected.vocabulary_size = 100;
  expected.max_payload_bytes = 1000;
  return expected;
}

ExpectedFrame FromAggregator() {
  ExpectedFrame expected = FromClient();
  expected.sender = Side::kAggregator;
  return expected;
}

Frame FrameOf(FrameKind kind) {
  Frame frame;
  frame.key = {.job_uid = "job-1", .attempt = 2, .client = "bank", .step = 11, .microbatch = 1, .kind = kind};
  return frame;
}

Frame Hidden(FrameKind kind = FrameKind::kHiddenUp) {
  Frame frame = FrameOf(kind);
  frame.tensor = {.format = WireFormat::kFp32, .shape = {6, 4}, .runs = {{1, 2}, {2, 2}}};
  frame.payload = PayloadOf(std::vector<float>(24, 0.5F));
  return frame;
}

Frame Labels(std::vector<int32_t> labels = {0, 1, 99, kIgnoredLabel, 4, 5}) {
  Frame frame = FrameOf(FrameKind::kLabelsUp);
  frame.tensor = {.format = WireFormat::kInt32, .shape = {static_cast<int64_t>(labels.size())}, .runs = {{1, 6}}};
  frame.payload = PayloadOf(std::move(labels));
  return frame;
}

Frame Adapters(FrameKind kind) {
  Frame frame = FrameOf(kind);
  frame.tensor = {.format = WireFormat::kFp32, .shape = {5}, .runs = {}};
  frame.payload = PayloadOf(std::vector<float>(5, 0.25F));
  if (kind != FrameKind::kStepEnd) {
    frame.body = Assignment{.cut_layer = 2};
  }
  return frame;
}

Frame Gradient() {
  Frame frame = Hidden(FrameKind::kGradientUp);
  frame.tensor.runs.clear();
  frame.body = LossReport{.loss_sum = 3.5, .loss_tokens = 6};
  return frame;
}

void ExpectOk(const Frame& frame, const ExpectedFrame& expected) {
  const absl::Status status = CheckFrame(frame, expected);
  EXPECT_TRUE(status.ok()) << status;
}

void ExpectError(const Frame& frame, const ExpectedFrame& expected, absl::StatusCode code, const std::string& part) {
  const absl::Status status = CheckFrame(frame, expected);
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(part));
}

TEST(FrameCheck, RefusesMicrobatchesThatTheBatchHasNot) {
  for (const int microbatches : {-1, 0, 5}) {
    Frame frame = Adapters(FrameKind::kStepBegin);
    std::get<Assignment>(frame.body).microbatches = microbatches;
    ExpectError(frame, FromAggregator(), absl::StatusCode::kInvalidArgument,
                "assignment.microbatches is " + std::to_string(microbatches) + "; expected 1 to 4");
  }
}

TEST(FrameCheck, PassesEveryKindAsItShouldBe) {
  ExpectOk(Hidden(), FromClient());
  ExpectOk(Hidden(FrameKind::kEvalHiddenUp), FromClient());
  ExpectOk(Gradient(), FromClient());
  Frame end = Adapters(FrameKind::kStepEnd);
  end.body = StepReport{.head_forward_seconds = 0.5, .tokens = 6};
  ExpectOk(end, FromClient());
  Frame frozen_end = FrameOf(FrameKind::kStepEnd);
  frozen_end.body = StepReport{};
  ExpectOk(frozen_end, FromClient());
  Frame eval_end = FrameOf(FrameKind::kEvalEnd);
  eval_end.body = LossReport{};
  ExpectOk(eval_end, FromClient());
  Frame hello = FrameOf(FrameKind::kHello);
  hello.body = Hello{.formats = {WireFormat::kFp32}};
  ExpectOk(hello, FromClient());

  ExpectOk(Hidden(FrameKind::kHiddenDown), FromAggregator());
  ExpectOk(Hidden(FrameKind::kGradientDown), FromAggregator());
  ExpectOk(Hidden(FrameKind::kEvalHiddenDown), FromAggregator());
  ExpectOk(Adapters(FrameKind::kStepBegin), FromAggregator());
  ExpectOk(Adapters(FrameKind::kEvalBegin), FromAggregator());
  Frame prepare = FrameOf(FrameKind::kPrepare);
  prepare.body = Assignment{.plan = 1, .cut_layer = 2};
  ExpectOk(prepare, FromAggregator());
  Frame prepared = FrameOf(FrameKind::kPrepared);
  prepared.body = Prepared{.plan = 1, .refusal = "no memory"};
  ExpectOk(prepared, FromClient());
  Frame welcome = FrameOf(FrameKind::kWelcome);
  welcome.body = Welcome{};
  ExpectOk(welcome, FromAggregator());
  Frame finish = FrameOf(FrameKind::kFinish);
  finish.body = Finish{.reason = "Completed"};
  ExpectOk(finish, FromAggregator());
  Frame fault = FrameOf(FrameKind::kFault);
  fault.body = Fault{.code = 13, .message = "out of memory"};
  ExpectOk(fault, FromAggregator());
  ExpectOk(fault, FromClient());

  ExpectedFrame server_labels = FromClient();
  server_labels.labels_on_server = true;
  ExpectOk(Labels(), server_labels);
  server_labels.sender = Side::kAggregator;
  ExpectOk(FrameOf(FrameKind::kEvalHiddenDown), server_labels);
}

TEST(FrameCheck, RefusesOtherJobsAndClients) {
  Frame frame = Hidden();
  frame.key.job_uid = "job-2";
  ExpectError(frame, FromClient(), absl::StatusCode::kPermissionDenied, "job_uid is \"job-2\"; expected \"job-1\"");
  frame = Hidden();
  frame.key.client = "thief\n";
  ExpectError(frame, FromClient(), absl::StatusCode::kPermissionDenied, "client is \"thief\\n\"; expected \"bank\"");
}

TEST(FrameCheck, RefusesStepsOutsideTheRangeAndAttemptsAhead) {
  Frame frame = Hidden();
  frame.key.step = 12;
  ExpectError(frame, FromClient(), absl::StatusCode::kOutOfRange, "step is 12; expected 10 to 11");
  frame.key.step = 9;
  ExpectError(frame, FromClient(), absl::StatusCode::kOutOfRange, "step is 9");
  frame = Hidden();
  frame.key.attempt = 3;
  ExpectError(frame, FromClient(), absl::StatusCode::kOutOfRange, "attempt is 3; expected at most 2");
  frame.key.attempt = 0;  // stale, not wrong
  ExpectOk(frame, FromClient());
}

TEST(FrameCheck, RefusesKindsOfTheOtherSideAndMode) {
  ExpectError(Hidden(FrameKind::kHiddenDown), FromClient(), absl::StatusCode::kInvalidArgument,
              "kind is 6; expected one that a client sends");
  ExpectError(Hidden(), FromAggregator(), absl::StatusCode::kInvalidArgument, "one that the aggregator sends");
  ExpectError(Hidden(static_cast<FrameKind>(77)), FromClient(), absl::StatusCode::kInvalidArgument, "kind is 77");
  ExpectError(Labels(), FromClient(), absl::StatusCode::kInvalidArgument, "labels on the clients");
  ExpectedFrame server_labels = FromClient();
  server_labels.labels_on_server = true;
  ExpectError(Gradient(), server_labels, absl::StatusCode::kInvalidArgument, "labels on the server");
}

TEST(FrameCheck, RefusesBodiesOfOtherKinds) {
  Frame frame = Hidden();
  frame.body = LossReport{};
  ExpectError(frame, FromClient(), absl::StatusCode::kInvalidArgument, "body is LossReport; expected none");
  frame = Gradient();
  frame.body = {};
  ExpectError(frame, FromClient(), absl::StatusCode::kInvalidArgument, "body is none; expected LossReport");
}

TEST(FrameCheck, AGradientThatIsRequiredMustBeThere) {
  ExpectedFrame expected = FromClient();
  expected.gradient_required = true;
  Frame end = Adapters(FrameKind::kStepEnd);
  end.body = StepReport{};
  ExpectOk(end, expected);
  end = FrameOf(FrameKind::kStepEnd);
  end.body = StepReport{};
  ExpectError(end, expected, absl::StatusCode::kInvalidArgument, "StepEnd");
}

TEST(FrameCheck, RefusesBodiesThatMakeNoSense) {
  Frame frame = Gradient();
  frame.body = LossReport{.loss_tokens = -1};
  ExpectError(frame, FromClient(), absl::StatusCode::kInvalidArgument, "loss_tokens is -1");
  frame = FrameOf(FrameKind::kStepEnd);
  frame.body = StepReport{.wait_seconds = std::numeric_limits<double>::quiet_NaN()};
  ExpectError(frame, FromClient(), absl::StatusCode::kInvalidArgument, "wait_seconds is nan");
  frame = FrameOf(FrameKind::kFault);
  frame.body = Fault{.code = 17};
  ExpectError(frame, FromClient(), absl::StatusCode::kInvalidArgument, "fault.code is 17");
  frame.body = Fault{.code = 1, .message = std::string(kMaxFaultMessageBytes + 1, 'x')};
  ExpectError(frame, FromClient(), absl::StatusCode::kResourceExhausted, "fault.message is 4097 bytes long");
  frame = FrameOf(FrameKind::kWelcome);
  frame.body = Welcome{.format = WireFormat::kNone};
  ExpectError(frame, FromAggregator(), absl::StatusCode::kInvalidArgument, "welcome.format is 0");
}

TEST(FrameCheck, RefusesOtherFormatsAndShapes) {
  Frame frame = Hidden();
  frame.tensor.format = WireFormat::kBf16;
  ExpectError(frame, FromClient(), absl::StatusCode::kInvalidArgument, "tensor.format is bf16; expected fp32");
  frame = Hidden();
  frame.tensor.shape = {24};
  ExpectError(frame, FromClient(), absl::StatusCode::kInvalidArgument, "tensor.shape is of rank 1");
  frame = Hidden();
  frame.tensor.shape = {4, 6};
  ExpectError(frame, FromClient(), absl::StatusCode::kInvalidArgument, "tensor.shape[1] is 6; expected 4");
  frame = Hidden();
  frame.tensor.shape = {0, 4};
  ExpectError(frame, FromClient(), absl::StatusCode::kInvalidArgument, "tensor.shape[0] is 0");
  frame.tensor.shape = {-6, 4};
  ExpectError(frame, FromClient(), absl::StatusCode::kInvalidArgument, "tensor.shape[0] is -6");
  frame.tensor.shape = {7, 4};
  ExpectError(frame, FromClient(), absl::StatusCode::kResourceExhausted, "tensor.shape[0] is 7; expected at most 6");
  ExpectedFrame exact = FromClient();
  exact.tokens = 5;
  ExpectError(Hidden(), exact, absl::StatusCode::kInvalidArgument, "expected 5, this microbatch's tokens");
}

TEST(FrameCheck, RefusesRunsThatDoNotMakeTheTokens) {
  const auto with_runs = [](std::vector<SequenceRun> runs) {
    Frame frame = Hidden();
    frame.tensor.runs = std::move(runs);
    return frame;
  };
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  for (const std::vector<SequenceRun>& runs : std::vector<std::vector<SequenceRun>>{
           {}, {{1, 5}}, {{1, 7}}, {{3, 2}, {1, 1}}, {{0, 6}}, {{-2, -3}}, {{6, 0}}, {{kHuge, kHuge}}, {{1, kHuge}}}) {
    ExpectError(with_runs(runs), FromClient(), absl::StatusCode::kInvalidArgument, "tensor.runs");
  }
  Frame gradient = Gradient();
  gradient.tensor.runs = {{1, 5}};
  ExpectError(gradient, FromClient(), absl::StatusCode::kInvalidArgument, "tensor.runs is of 5 tokens; expected 6");
}

TEST(FrameCheck, RefusesPayloadsOfAnotherSize) {
  Frame frame = Hidden();
  frame.payload = PayloadOf(std::vector<float>(23));
  ExpectError(frame, FromClient(), absl::StatusCode::kInvalidArgument, "payload is 92 bytes; expected 96");
  ExpectedFrame narrow = FromClient();
  narrow.max_payload_bytes = 95;
  ExpectError(Hidden(), narrow, absl::StatusCode::kResourceExhausted, "payload is 96 bytes; expected at most 95");
  ExpectedFrame wide = FromClient();
  wide.max_tokens = std::numeric_limits<int64_t>::max();
  wide.hidden_size = std::numeric_limits<int64_t>::max();
  frame = Hidden(FrameKind::kHiddenUp);
  frame.tensor.shape = {wide.max_tokens, wide.hidden_size};
  frame.tensor.runs = {{1, wide.max_tokens}};
  ExpectError(frame, wide, absl::StatusCode::kInvalidArgument, "no memory's size");
  Frame finish = FrameOf(FrameKind::kFinish);
  finish.body = Finish{};
  finish.payload = PayloadOf(std::vector<float>(1));
  ExpectError(finish, FromAggregator(), absl::StatusCode::kInvalidArgument, "payload is 4 bytes; expected none");
}

TEST(FrameCheck, RefusesAdaptersOfOtherBlocks) {
  Frame frame = Adapters(FrameKind::kStepBegin);
  frame.tensor.shape = {4};
  frame.payload = PayloadOf(std::vector<float>(4));
  ExpectError(frame, FromAggregator(), absl::StatusCode::kInvalidArgument, "tensor.shape[0] is 4; expected 5");
  frame = Adapters(FrameKind::kStepBegin);
  frame.tensor.runs = {{1, 5}};
  ExpectError(frame, FromAggregator(), absl::StatusCode::kInvalidArgument, "tensor.runs is 1 runs; expected none");
  frame = FrameOf(FrameKind::kStepBegin);
  ExpectError(frame, FromAggregator(), absl::StatusCode::kInvalidArgument, "body is none; expected Assignment");
  frame.body = Assignment{};
  ExpectError(frame, FromAggregator(), absl::StatusCode::kInvalidArgument, "tensor.format");
}

TEST(FrameCheck, RefusesNonFiniteNumbersByTheirIndex) {
  std::vector<float> numbers(24, 1.0F);
  numbers[17] = std::numeric_limits<float>::quiet_NaN();
  Frame frame = Hidden();
  frame.payload = PayloadOf(numbers);
  ExpectError(frame, FromClient(), absl::StatusCode::kOutOfRange, "number 17 of 24 is NaN or infinite");
  numbers[3] = -std::numeric_limits<float>::infinity();
  frame.payload = PayloadOf(numbers);
  ExpectError(frame, FromClient(), absl::StatusCode::kOutOfRange, "number 3 of 24");
}

// Six tokens of four numbers: as many scales, then the numbers.
Frame Int8Hidden(const std::vector<float>& scales = std::vector<float>(6, 0.5F)) {
  Frame frame = Hidden();
  frame.tensor.format = WireFormat::kInt8;
  std::vector<std::byte> bytes(48, std::byte{0x80});
  std::memcpy(bytes.data(), scales.data(), 24);
  frame.payload = PayloadOf(std::move(bytes));
  return frame;
}

ExpectedFrame Int8FromClient() {
  ExpectedFrame expected = FromClient();
  expected.format = WireFormat::kInt8;
  return expected;
}

TEST(FrameCheck, Int8RowsAreOfTheirSize) {
  ExpectOk(Int8Hidden(), Int8FromClient());
  ExpectError(Int8Hidden(), FromClient(), absl::StatusCode::kInvalidArgument, "tensor.format is int8; expected fp32");
  Frame frame = Int8Hidden();
  frame.payload = Payload(frame.payload.owner(), frame.payload.bytes().first(24));
  ExpectError(frame, Int8FromClient(), absl::StatusCode::kInvalidArgument, "payload is 24 bytes; expected 48");
  frame = Int8Hidden();
  frame.tensor.shape = {48};
  ExpectError(frame, Int8FromClient(), absl::StatusCode::kInvalidArgument, "tensor.shape is of rank 1");
  Frame adapters = Adapters(FrameKind::kStepBegin);
  adapters.tensor.format = WireFormat::kInt8;
  ExpectedFrame expected = FromAggregator();
  expected.format = WireFormat::kInt8;
  ExpectError(adapters, expected, absl::StatusCode::kInvalidArgument, "tensor.format is int8; expected fp32");
}

TEST(FrameCheck, RefusesScalesThatAreNone) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), kInfinity, -kInfinity, -1.0F, 3e36F}) {
    ExpectError(Int8Hidden({1, 1, 1, 1, bad, bad}), Int8FromClient(), absl::StatusCode::kOutOfRange,
                "scale 4 of 6 is NaN, infinite, negative or above 2.64807e+36");
  }
  ExpectOk(Int8Hidden({0, 1, 2.6e36F, 1, 1e-38F, 0}), Int8FromClient());
}

TEST(FrameCheck, RefusesLabelsOutsideTheVocabularyWithoutTellingThem) {
  ExpectedFrame expected = FromClient();
  expected.labels_on_server = true;
  for (const int32_t bad : {100, -1, -99, -101, 31337}) {
    ExpectError(Labels({1, 2, bad, 3, 4, 5}), expected, absl::StatusCode::kOutOfRange, "label 2 of 6 is no token");
  }
  EXPECT_THAT(std::string(CheckFrame(Labels({1, 2, 31337, 3, 4, 5}), expected).message()), Not(HasSubstr("31337")));
}

TEST(FiniteScan, FindsTheFirstBadNumberAnywhere) {
  for (const size_t size : {size_t{1}, size_t{15}, size_t{16}, size_t{1024}, size_t{1025}, size_t{5000}}) {
    for (const size_t bad : {size_t{0}, size / 2, size - 1}) {
      std::vector<float> numbers(size, -1.5F);
      const auto bytes = std::as_bytes(std::span<const float>(numbers));
      EXPECT_EQ(FirstNonFinite(WireFormat::kFp32, bytes), std::nullopt);
      numbers[bad] = std::numeric_limits<float>::infinity();
      EXPECT_EQ(FirstNonFinite(WireFormat::kFp32, bytes), bad) << size;
      std::vector<uint16_t> halves(size, 0xC049);
      const auto half_bytes = std::as_bytes(std::span<const uint16_t>(halves));
      EXPECT_EQ(FirstNonFinite(WireFormat::kBf16, half_bytes), std::nullopt);
      halves[bad] = 0x7F81;
      EXPECT_EQ(FirstNonFinite(WireFormat::kBf16, half_bytes), bad) << size;
    }
  }
}

TEST(FiniteScan, LargestAndSmallestNumbersAreFinite) {
  const std::vector<float> numbers = {std::numeric_limits<float>::max(), std::numeric_limits<float>::lowest(),
                                      std::numeric_limits<float>::denorm_min(), -0.0F};
  EXPECT_EQ(FirstNonFinite(WireFormat::kFp32, std::as_bytes(std::span<const float>(numbers))), std::nullopt);
}

TEST(FiniteScan, NeedsNoAlignment) {
  std::vector<std::byte> bytes(4 * 40 + 1);
  const float bad = std::numeric_limits<float>::quiet_NaN();
  std::memcpy(bytes.data() + 1 + 4 * 33, &bad, sizeof(bad));
  EXPECT_EQ(FirstNonFinite(WireFormat::kFp32, std::span<const std::byte>(bytes).subspan(1)), 33u);
}

TEST(FiniteScan, IntegersAreAlwaysFinite) {
  const std::vector<int32_t> numbers(20, -1);
  EXPECT_EQ(FirstNonFinite(WireFormat::kInt32, std::as_bytes(std::span<const int32_t>(numbers))), std::nullopt);
}

}  // namespace
}  // namespace splitft::protocol
