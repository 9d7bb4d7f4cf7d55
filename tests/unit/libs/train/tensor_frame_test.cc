#include "libs/train/tensor_frame.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>

#include <cstring>

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
}

}  // namespace
}  // namespace splitft::train
