#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <vector>

#include "libs/model/ops/linear.h"
#include "tests/support/tensors.h"

namespace splitft::model {
namespace {

constexpr int64_t kIn = 10;
constexpr int64_t kOut = 14;
constexpr int64_t kTokens = 9;

ModelConfig Config() {
  ModelConfig config;
  config.architecture = Architecture::kLlama;
  config.hidden_size = kIn;
  config.intermediate_size = kOut;
  config.vocabulary_size = 11;
  config.block_count = 2;
  config.head_count = config.key_value_head_count = 1;
  config.head_size = kIn;
  config.activation = Activation::kSilu;
  return config;
}

constexpr int kGate = 4;  // kIn -> kOut

// Block 1's gate_proj, with its adapter in the middle of the flat vector.
class OpsLinear : public testing::TestWithParam<double> {
 protected:
  OpsLinear() {
    spec::Lora lora;
    lora.rank = 3;
    lora.alpha = 5;
    lora.target_modules = {"q_proj", "gate_proj"};
    layout_ = std::make_unique<AdapterLayout>(*AdapterLayout::Create(Config(), lora));
    range_ = layout_->BlockRange(1, 2);
    flat_ = RandomTensor("flat", {range_.size});
  }

  Linear Module(at::ScalarType type) const { return {1, kGate, weight_.to(type), bias_.to(type)}; }

  at::Tensor Forward(at::ScalarType type, LinearTape* tape, const at::Tensor& residual = {}) const {
    const BlockAdapters adapters(*layout_, 1, flat_, at::TensorOptions(type));
    const at::Tensor sum = residual.defined() ? residual.to(type) : residual;
    return Module(type).Forward(x_.to(type), {batch_, adapters, GetParam(), 3}, tape, sum);
  }
  double Loss() const { return Weigh(grad_, Forward(at::kDouble, nullptr)); }

  const BatchLayout batch_ = {{{.runs = {{1, kTokens}}, .client = 4, .step = 2}}};
  std::unique_ptr<AdapterLayout> layout_;
  FlatRange range_;
  at::Tensor flat_;
  at::Tensor weight_ = RandomTensor("weight", {kIn, kOut}).t();  // as GPT-2 stores it
  at::Tensor bias_ = RandomTensor("bias", {kOut});
  at::Tensor x_ = RandomTensor("x", {kTokens, kIn});
  at::Tensor grad_ = RandomTensor("grad", {kTokens, kOut});
};

using OpsLinearWithoutDropout = OpsLinear;
INSTANTIATE_TEST_SUITE_P(None, OpsLinearWithoutDropout, ::testing::Values(0.0));

TEST_P(OpsLinearWithoutDropout, AddsTheScaledAdapterToTheBase) {
  const BlockAdapters adapters(*layout_, 1, flat_, at::TensorOptions(at::kDouble));
  const BlockAdapters::Pair* pair = adapters.Find(kGate);
  ASSERT_NE(pair, nullptr);
  EXPECT_EQ(pair->a_RI.sizes(), (std::vector<int64_t>{3, kIn}));
  const at::Tensor delta = at::mm(pair->b_OR, pair->a_RI).mul(5.0 / 3.0);
  const at::Tensor residual = RandomTensor("residual", {kTokens, kOut});
  const at::Tensor expected = at::mm(x_, weight_.add(delta).t()).add(bias_);
  for (const auto& [type, tolerance] :
       {std::pair(at::kDouble, 1e-14), std::pair(at::kFloat, 1e-6), std::pair(at::kBFloat16, 2e-2)}) {
    EXPECT_LT(RelativeError(Forward(type, nullptr), expected), tolerance) << type;
    EXPECT_LT(RelativeError(Forward(type, nullptr, residual), expected.add(residual)), tolerance) << type;
  }
}

TEST_P(OpsLinear, WithoutAdapterIsTheBaseAndKeepsNothing) {
  const BlockAdapters none;
  const BlockContext context = {batch_, none, GetParam(), 3};
  LinearTape tape;
  const at::Tensor y = Module(at::kFloat).Forward(x_.to(at::kFloat), context, &tape);
  EXPECT_LT(RelativeError(y, at::mm(x_, weight_.t()).add(bias_)), 1e-6);
  EXPECT_FALSE(tape.input_NI.defined());
  at::Tensor no_grad;
  const at::Tensor grad = Module(at::kFloat).Backward(grad_.to(at::kFloat), context, tape, &no_grad);
  EXPECT_LT(RelativeError(grad, at::mm(grad_, weight_)), 1e-6);
}

TEST_P(OpsLinear, BackwardIsTheSlopeOfForward) {
  const at::Tensor by_x = NumericalGradient(x_, [&] { return Loss(); });
  const at::Tensor by_flat = NumericalGradient(flat_, [&] { return Loss(); });
  const at::Tensor sum = RandomTensor("sum", {kTokens, kIn});
  // bf16 rounds weights and adapters too.
  for (const auto& [type, tolerance] :
       {std::pair(at::kDouble, 1e-7), std::pair(at::kFloat, 1e-5), std::pair(at::kBFloat16, 2e-2)}) {
    const BlockAdapters adapters(*layout_, 1, flat_, at::TensorOptions(type));
    const BlockContext context = {batch_, adapters, GetParam(), 3};
    LinearTape tape;
    const Linear module = Module(type);
    module.Forward(x_.to(type), context, &tape);
    at::Tensor flat_grad = at::zeros({range_.size}, type == at::kDouble ? at::kDouble : at::kFloat);
    EXPECT_LT(RelativeError(module.Backward(grad_.to(type), context, tape, &flat_grad), by_x), tolerance) << type;
    EXPECT_LT(RelativeError(flat_grad, by_flat), tolerance) << type;
    module.BackwardAdapter(grad_.to(type), context, tape, &flat_grad);
    EXPECT_LT(RelativeError(flat_grad, by_flat.mul(2)), tolerance) << "gradients are added";
    const at::Tensor with_sum = module.Backward(grad_.to(type), context, tape, &flat_grad, sum.to(type));
    EXPECT_LT(RelativeError(with_sum, by_x.add(sum)), tolerance) << type;
  }
}

INSTANTIATE_TEST_SUITE_P(Dropout, OpsLinear, testing::Values(0.0, 0.4));

}  // namespace
}  // namespace splitft::model
