#include <gtest/gtest.h>

#include <cmath>

#include "libs/model/ops/layer_norm.h"
#include "libs/model/ops/rms_norm.h"
#include "tests/support/tensors.h"

namespace splitft::model {
namespace {

// A width that is no multiple of the kernels' lanes, and one below them.
class OpsNorm : public testing::TestWithParam<int64_t> {
 protected:
  OpsNorm()
      : x_(RandomTensor("x", {5, GetParam()}).mul_(3).add_(0.5)),
        weight_(RandomTensor("weight", {GetParam()}).add_(1)),
        bias_(RandomTensor("bias", {GetParam()})),
        grad_(RandomTensor("grad", {5, GetParam()})),
        sum_(RandomTensor("sum", {5, GetParam()})) {}

  LayerNorm Layer(at::ScalarType type) const { return {weight_.to(type), bias_.to(type), 1e-5}; }
  RmsNorm Rms(at::ScalarType type) const { return {weight_.to(type), 1e-5}; }

  at::Tensor x_, weight_, bias_, grad_, sum_;
};

TEST_P(OpsNorm, LayerNormIsItsDefinition) {
  const at::Tensor mean = x_.mean(-1, true);
  const at::Tensor centred = x_.sub(mean);
  const at::Tensor variance = centred.mul(centred).mean(-1, true);
  const at::Tensor expected = centred.div(variance.add(1e-5).sqrt()).mul(weight_).add(bias_);
  EXPECT_LT(RelativeError(Layer(at::kDouble).Forward(x_), expected), 1e-14);
  EXPECT_LT(RelativeError(Layer(at::kFloat).Forward(x_.to(at::kFloat)), expected), 1e-6);
  EXPECT_LT(RelativeError(Layer(at::kBFloat16).Forward(x_.to(at::kBFloat16)), expected), 1e-2);
}

TEST_P(OpsNorm, RmsNormIsItsDefinition) {
  const at::Tensor expected = x_.div(x_.mul(x_).mean(-1, true).add(1e-5).sqrt()).mul(weight_);
  EXPECT_LT(RelativeError(Rms(at::kDouble).Forward(x_), expected), 1e-14);
  EXPECT_LT(RelativeError(Rms(at::kFloat).Forward(x_.to(at::kFloat)), expected), 1e-6);
  EXPECT_LT(RelativeError(Rms(at::kBFloat16).Forward(x_.to(at::kBFloat16)), expected), 1e-2);
}

template <typename Norm>
void CheckBackward(const std::function<Norm(at::ScalarType)>& norm, const at::Tensor& x, const at::Tensor& grad,
                   const at::Tensor& sum) {
  const Norm exact = norm(at::kDouble);
  const at::Tensor expected = NumericalGradient(x, [&] { return Weigh(grad, exact.Forward(x)); });
  EXPECT_LT(RelativeError(exact.Backward(grad, x), expected), 1e-8);
  EXPECT_LT(RelativeError(exact.Backward(grad, x, sum), expected.add(sum)), 1e-8);
  for (const auto& [type, tolerance] : {std::pair(at::kFloat, 1e-5), std::pair(at::kBFloat16, 2e-2)}) {
    const at::Tensor actual = norm(type).Backward(grad.to(type), x.to(type));
    EXPECT_EQ(actual.scalar_type(), type);
    EXPECT_LT(RelativeError(actual, expected), tolerance) << type;
    EXPECT_LT(RelativeError(norm(type).Backward(grad.to(type), x.to(type), sum.to(type)), expected.add(sum)), tolerance)
        << type;
  }
}

TEST_P(OpsNorm, LayerNormBackwardIsTheSlopeOfForward) {
  CheckBackward<LayerNorm>([&](at::ScalarType type) { return Layer(type); }, x_, grad_, sum_);
}

TEST_P(OpsNorm, RmsNormBackwardIsTheSlopeOfForward) {
  CheckBackward<RmsNorm>([&](at::ScalarType type) { return Rms(type); }, x_, grad_, sum_);
}

// Values that differ little from a large mean: the variance is taken about the mean, not as a difference of squares.
TEST(OpsLayerNorm, KeepsItsDigitsFarFromZero) {
  const at::Tensor x = RandomTensor("x", {3, 64}).add_(1000).to(at::kFloat);
  const at::Tensor one = at::empty({64}, at::kDouble).fill_(1);
  const at::Tensor zero = at::empty({64}, at::kDouble).fill_(0);
  const at::Tensor expected = LayerNorm(one, zero, 1e-5).Forward(x.to(at::kDouble));
  const at::Tensor actual = LayerNorm(one.to(at::kFloat), zero.to(at::kFloat), 1e-5).Forward(x);
  EXPECT_LT(RelativeError(actual, expected), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Widths, OpsNorm, testing::Values(7, 16, 37, 64));

}  // namespace
}  // namespace splitft::model
