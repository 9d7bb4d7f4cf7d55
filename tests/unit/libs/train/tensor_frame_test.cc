#include "libs/train/tensor_frame.h"

#include <ATen/Parallel.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>

#include <cstring>
#include <set>

#include "gtest/gtest.h"

namespace splitft::train {
namespace {

using protocol::WireFormat;

TEST(ToPayload, SharesAContiguousTensorOfTheSameType) {
  const at::Tensor tensor = at::arange(6, at::kFloat).reshape({2, 3});
  const protocol::Payload payload = ToPayload(tensor, WireFormat::kFp32);
  EXPECT_EQ(static_cast<const void*>(payload.bytes().data()), tensor.const_data_ptr());
  EXPECT_EQ(payload.bytes().size(), 24U);
}

TEST(ToPayload, KeepsItsMemoryAlive) {
  protocol::Payload payload;
  { payload = ToPayload(at::arange(1000, at::kFloat), WireFormat::kFp32); }
  float last = 0;
  std::memcpy(&last, payload.bytes().data() + 999 * 4, 4);
  EXPECT_EQ(last, 999.0F);
}

TEST(ToPayload, WritesATransposedTensorRowByRow) {
  const at::Tensor tensor = at::arange(6, at::kFloat).reshape({2, 3}).t();
  const at::Tensor back = FromPayload(ToPayload(tensor, WireFormat::kFp32), WireFormat::kFp32, {3, 2}, at::kFloat);
  EXPECT_TRUE(at::equal(back, tensor));
}

TEST(FromPayload, Bf16LosesWhatBf16Cannot) {
  const at::Tensor tensor = at::arange(256, at::kFloat).div(7);
  const at::Tensor back = FromPayload(ToPayload(tensor, WireFormat::kBf16), WireFormat::kBf16, {256}, at::kFloat);
  EXPECT_TRUE(at::equal(back, tensor.to(at::kBFloat16).to(at::kFloat)));
  EXPECT_FALSE(at::equal(back, tensor));
}

double FurthestInScales(const at::Tensor& rows_ND, const at::Tensor& back_ND) {
  const at::Tensor scale_N1 = rows_ND.abs().amax(1, true).div(127);
  return back_ND.to(at::kDouble).sub(rows_ND.to(at::kDouble)).abs().div(scale_N1).max().item<double>();
}

TEST(FromPayload, Int8StaysWithinHalfAScaleInEveryType) {
  const at::Tensor rows = at::arange(700 * 200, at::kFloat).reshape({700, 200}).sin();
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble, at::kHalf}) {
    const at::Tensor typed = rows.to(type);
    const protocol::Payload payload = ToPayload(typed, WireFormat::kInt8);
    EXPECT_EQ(payload.bytes().size(), 700U * 204U);
    const at::Tensor back = FromPayload(payload, WireFormat::kInt8, {700, 200}, type);
    EXPECT_EQ(back.scalar_type(), type);
    const double type_rounding = type == at::kBFloat16 ? 0.25 : 0.1;  // of 127 scales in 8 bits, or 11
    EXPECT_LE(FurthestInScales(typed.to(at::kFloat), back), 0.501 + type_rounding) << type;
  }
}

TEST(FromPayload, Int8OfATransposedTensorIsRowByRow) {
  const at::Tensor rows = at::arange(6, at::kFloat).reshape({2, 3}).t();
  const at::Tensor back = FromPayload(ToPayload(rows, WireFormat::kInt8), WireFormat::kInt8, {3, 2}, at::kFloat);
  EXPECT_LE(FurthestInScales(rows, back), 0.501);
}

TEST(ToPayload, Int8IsTheSameOnAnyNumberOfThreads) {
  const at::Tensor rows = at::arange(1000 * 301, at::kFloat).reshape({1000, 301}).sin();
  const std::optional<RandomStream> noise = RandomStream({.seed = 3});
  const int threads = at::get_num_threads();
  const protocol::Payload shared = ToPayload(rows, WireFormat::kInt8, noise);
  at::set_num_threads(1);
  const protocol::Payload alone = ToPayload(rows, WireFormat::kInt8, noise);
  at::set_num_threads(threads);
  ASSERT_EQ(shared.bytes().size(), alone.bytes().size());
  EXPECT_EQ(std::memcmp(shared.bytes().data(), alone.bytes().data(), alone.bytes().size()), 0);
}

TEST(RoundingNoise, IsForGradientsAndNamesThem) {
  using protocol::FrameKind;
  const protocol::FrameKey key{
      .job_uid = "j", .attempt = 1, .client = "bank", .step = 2, .microbatch = 3, .kind = FrameKind::kGradientUp};
  const auto bits = [](uint64_t seed, const protocol::FrameKey& of) { return RoundingNoise(seed, of).value().Bits(0); };
  std::set<uint32_t> draws = {bits(1, key), bits(2, key)};
  const auto other = [&](auto change) {
    protocol::FrameKey changed = key;
    change(changed);
    draws.insert(bits(1, changed));
  };
  other([](protocol::FrameKey& k) { k.client = "hospital"; });
  other([](protocol::FrameKey& k) { k.step = 3; });
  other([](protocol::FrameKey& k) { k.microbatch = 4; });
  other([](protocol::FrameKey& k) { k.kind = FrameKind::kGradientDown; });
  EXPECT_EQ(draws.size(), 6U);
  other([](protocol::FrameKey& k) { k.attempt = 2; });
  EXPECT_EQ(draws.size(), 6U) << "another attempt sends the same";
  for (const FrameKind kind :
       {FrameKind::kHiddenUp, FrameKind::kHiddenDown, FrameKind::kEvalHiddenUp, FrameKind::kEvalHiddenDown}) {
    EXPECT_FALSE(RoundingNoise(1, {.client = "bank", .kind = kind}).has_value());
  }
}

TEST(FromPayload, LabelsSurviveAsInt32) {
  const at::Tensor labels = at::arange(-100, 50257, at::kLong);
  const at::Tensor back =
      FromPayload(ToPayload(labels, WireFormat::kInt32), WireFormat::kInt32, {labels.size(0)}, at::kLong);
  EXPECT_TRUE(at::equal(back, labels));
}

TEST(HiddenFormat, AutoFollowsTheComputeDtype) {
  spec::FineTuneJob job;
  EXPECT_EQ(HiddenFormat(job), WireFormat::kFp32);
  job.model.dtype = spec::Dtype::kBfloat16;
  EXPECT_EQ(HiddenFormat(job), WireFormat::kBf16);
  job.split.codec = spec::Codec::kFp32;
  EXPECT_EQ(HiddenFormat(job), WireFormat::kFp32);
  job.split.codec = spec::Codec::kInt8;
  EXPECT_EQ(HiddenFormat(job), WireFormat::kInt8);
}

}  // namespace
}  // namespace splitft::train
