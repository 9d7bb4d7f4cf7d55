#include <ATen/Parallel.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>

#include "libs/model/ops/cross_entropy.h"
#include "tests/support/tensors.h"

namespace splitft::model {
namespace {

// Sizes below, at and beyond the kernel's tiles of 64.
class OpsCrossEntropy : public testing::TestWithParam<int64_t> {
 protected:
  OpsCrossEntropy()
      : logits_(RandomTensor("logits", {4, GetParam()}).mul_(6)),
        labels_(at::tensor({int64_t{0}, GetParam() - 1, GetParam() / 2, int64_t{1}}, at::kLong)) {}

  // By the definition, in double.
  double Loss(const at::Tensor& logits) const {
    double loss = 0;
    const auto x = logits.accessor<double, 2>();
    for (int64_t n = 0; n < x.size(0); ++n) {
      double sum = 0;
      for (int64_t v = 0; v < x.size(1); ++v) {
        sum += std::exp(x[n][v]);
      }
      loss += std::log(sum) - x[n][labels_[n].item<int64_t>()];
    }
    return loss;
  }

  at::Tensor logits_;
  at::Tensor labels_;
};

TEST_P(OpsCrossEntropy, LossAndGradientAreTheDefinitions) {
  const double loss = Loss(logits_);
  const at::Tensor slope = NumericalGradient(logits_, [&] { return Loss(logits_); });
  for (const auto& [type, tolerance] :
       {std::pair(at::kDouble, 1e-8), std::pair(at::kFloat, 1e-6), std::pair(at::kBFloat16, 2e-2)}) {
    at::Tensor work = logits_.to(type, false, /*copy=*/true);
    EXPECT_NEAR(CrossEntropy(labels_, true, &work), loss, tolerance * loss) << type;
    EXPECT_LT(RelativeError(work, slope), tolerance) << type;
  }
}

TEST_P(OpsCrossEntropy, LeavesLogitsAloneWithoutGradient) {
  at::Tensor work = logits_.to(at::kFloat);
  const at::Tensor kept = work.clone();
  EXPECT_NEAR(CrossEntropy(labels_, false, &work), Loss(logits_), 1e-4);
  EXPECT_TRUE(work.equal(kept));
}

TEST_P(OpsCrossEntropy, HugeLogitsDoNotOverflow) {
  at::Tensor work = logits_.to(at::kFloat).mul_(1000);
  const double loss = CrossEntropy(labels_, true, &work);
  EXPECT_TRUE(std::isfinite(loss));
  EXPECT_TRUE(work.isfinite().all().item<bool>());
}

TEST_P(OpsCrossEntropy, NotANumberReachesTheLoss) {
  at::Tensor work = logits_.to(at::kFloat);
  work[2][GetParam() - 1] = std::nan("");
  EXPECT_TRUE(std::isnan(CrossEntropy(labels_, true, &work)));
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, OpsCrossEntropy, testing::Values(5, 64, 97, 200));

TEST(OpsCrossEntropyThreads, TheSumDoesNotDependOnThem) {
  const at::Tensor logits = RandomTensor("logits", {64, 1031}).to(at::kFloat);
  const at::Tensor labels = RandomTensor("labels", {64}).add_(1).mul_(500).to(at::kLong);
  const int before = at::get_num_threads();
  std::vector<double> losses;
  for (const int threads : {1, 2, 5}) {
    at::set_num_threads(threads);
    at::Tensor work = logits.clone();
    losses.push_back(CrossEntropy(labels, true, &work));
  }
  at::set_num_threads(before);
  EXPECT_EQ(losses[0], losses[1]);
  EXPECT_EQ(losses[0], losses[2]);
}

}  // namespace
}  // namespace splitft::model
