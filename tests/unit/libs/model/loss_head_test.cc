#include "libs/model/loss_head.h"

#include <ATen/ops/logsumexp.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/tensors.h"

namespace splitft::model {
namespace {

constexpr int64_t kSize = 6;
constexpr int64_t kVocabulary = 11;
constexpr int64_t kMasked = kIgnoredLabel;

class LossHeadTest : public testing::Test {
 protected:
  static LinearLossHead Head(at::ScalarType type, int64_t vocabulary = kVocabulary) {
    const at::Tensor weight = RandomTensor("norm", {kSize}).add_(1.5).to(type);
    const at::Tensor bias = RandomTensor("bias", {kSize}).to(type);
    return {LayerNorm(weight, bias, 1e-5), RandomTensor("head", {vocabulary, kSize}).to(type)};
  }
  static at::Tensor Labels(const std::vector<int64_t>& labels) { return at::tensor(labels, at::kLong); }

  at::Tensor hidden_ = RandomTensor("hidden", {5, kSize});
};

TEST_F(LossHeadTest, LossAndGradientAreThoseOfTheLogits) {
  const at::Tensor labels = Labels({3, 0, 10, 7, 3});
  const LinearLossHead head = Head(at::kDouble);
  const auto expected = [&] {
    const at::Tensor logits =
        at::mm(LayerNorm(RandomTensor("norm", {kSize}).add_(1.5), RandomTensor("bias", {kSize}), 1e-5).Forward(hidden_),
               RandomTensor("head", {kVocabulary, kSize}).t());
    const at::Tensor picked = logits.gather(1, labels.unsqueeze(1)).squeeze(1);
    return at::logsumexp(logits, 1).sub(picked).sum().item<double>();
  };
  const at::Tensor slope = NumericalGradient(hidden_, expected);
  for (const auto& [type, tolerance] :
       {std::pair(at::kDouble, 1e-8), std::pair(at::kFloat, 1e-5), std::pair(at::kBFloat16, 3e-2)}) {
    const LossHead::Result actual = Head(type).Loss(hidden_.to(type), labels, true);
    EXPECT_NEAR(actual.loss_sum, expected(), tolerance * expected()) << type;
    EXPECT_EQ(actual.loss_tokens, 5);
    EXPECT_LT(RelativeError(actual.grad_hidden_ND, slope), tolerance) << type;
  }
}

TEST_F(LossHeadTest, MaskedRowsCountForNothing) {
  const LinearLossHead head = Head(at::kFloat);
  const at::Tensor hidden = hidden_.to(at::kFloat);
  const LossHead::Result some = head.Loss(hidden, Labels({kMasked, 4, kMasked, 9, kMasked}), true);
  const at::Tensor kept = Labels({1, 3});
  const LossHead::Result alone = head.Loss(hidden.index_select(0, kept), Labels({4, 9}), true);
  EXPECT_EQ(some.loss_tokens, 2);
  EXPECT_EQ(some.loss_sum, alone.loss_sum);
  EXPECT_TRUE(some.grad_hidden_ND.index_select(0, kept).equal(alone.grad_hidden_ND));
  EXPECT_EQ(some.grad_hidden_ND.index_select(0, Labels({0, 2, 4})).abs().sum().item<double>(), 0);
}

TEST_F(LossHeadTest, AllMaskedIsNoTokens) {
  const LossHead::Result none =
      Head(at::kFloat).Loss(hidden_.to(at::kFloat), Labels({kMasked, kMasked, kMasked, kMasked, kMasked}), true);
  EXPECT_EQ(none.loss_tokens, 0);
  EXPECT_EQ(none.loss_sum, 0);
  EXPECT_EQ(none.grad_hidden_ND.sizes(), hidden_.sizes());
  EXPECT_EQ(none.grad_hidden_ND.abs().sum().item<double>(), 0);
}

TEST_F(LossHeadTest, WithoutGradientTheLossIsTheSame) {
  const at::Tensor labels = Labels({3, kMasked, 10, 7, 3});
  const at::Tensor hidden = hidden_.to(at::kFloat);
  const LossHead::Result without = Head(at::kFloat).Loss(hidden, labels, false);
  EXPECT_FALSE(without.grad_hidden_ND.defined());
  EXPECT_EQ(without.loss_sum, Head(at::kFloat).Loss(hidden, labels, true).loss_sum);
}

// A vocabulary so large that its logits go through in several chunks, the last of them short.
TEST_F(LossHeadTest, ChunksAddUp) {
  constexpr int64_t kLarge = 500'000;
  const at::Tensor hidden = RandomTensor("rows", {40, kSize});
  const at::Tensor labels = RandomTensor("labels", {40}).add_(1).mul_(kLarge / 2).to(at::kLong);
  const LossHead::Result exact = Head(at::kDouble, kLarge).Loss(hidden, labels, true);
  const LossHead::Result actual = Head(at::kFloat, kLarge).Loss(hidden.to(at::kFloat), labels, true);
  EXPECT_NEAR(actual.loss_sum, exact.loss_sum, 1e-5 * exact.loss_sum);
  EXPECT_EQ(actual.loss_tokens, 40);
  EXPECT_LT(RelativeError(actual.grad_hidden_ND, exact.grad_hidden_ND), 1e-5);
}

TEST_F(LossHeadTest, LogitsAreFloat32) {
  const at::Tensor logits = Head(at::kBFloat16).Logits(hidden_.to(at::kBFloat16));
  EXPECT_EQ(logits.scalar_type(), at::kFloat);
  EXPECT_LT(RelativeError(logits, Head(at::kDouble).Logits(hidden_)), 2e-2);
}

}  // namespace
}  // namespace splitft::model
