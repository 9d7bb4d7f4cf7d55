#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "libs/model/ops/dropout.h"
#include "tests/support/tensors.h"

namespace splitft::model {
namespace {

constexpr double kP = 0.3;
constexpr uint64_t kSeed = 99;
constexpr int kBlock = 5;
constexpr int kModule = 2;

// Dropout reads nothing of the adapters; these are empty.
struct Fixture {
  explicit Fixture(BatchLayout batch) : layout(std::move(batch)) {}
  BatchLayout layout;
  BlockAdapters adapters;
  at::Tensor Apply(const at::Tensor& x, double p = kP, int module = kModule) const {
    const BlockContext context = {layout, adapters, p, kSeed};
    return Dropout(context, kBlock, module).Apply(x);
  }
};

BatchPart Part(std::vector<SequenceRun> runs, uint64_t client, int64_t first_token) {
  return {.runs = std::move(runs), .client = client, .step = 7, .first_token = first_token};
}

// The definition, element by element.
at::Tensor Expected(const at::Tensor& x, uint64_t client, int64_t first_token) {
  const RandomStream stream({kSeed, RandomPurpose::kDropout, client, 7, kBlock * 64 + kModule});
  at::Tensor y = x.clone();
  auto out = y.accessor<double, 2>();
  const int64_t columns = x.size(1);
  for (int64_t row = 0; row < x.size(0); ++row) {
    for (int64_t column = 0; column < columns; ++column) {
      const auto index = static_cast<uint64_t>((first_token + row) * columns + column);
      out[row][column] *= stream.Uniform(index) >= static_cast<float>(kP) ? 1 / (1 - kP) : 0;
    }
  }
  return y;
}

// Columns that put a part's first element inside a group of four draws, and inside a tile of 64.
class OpsDropout : public testing::TestWithParam<int64_t> {};

TEST_P(OpsDropout, KeepsWhatTheStreamSays) {
  const Fixture fixture({{Part({{1, 3}, {2, 4}}, 1, 0), Part({{1, 2}}, 8, 5)}});
  const at::Tensor x = RandomTensor("x", {13, GetParam()});
  const at::Tensor expected = at::cat({Expected(x.narrow(0, 0, 11), 1, 0), Expected(x.narrow(0, 11, 2), 8, 5)});
  EXPECT_LT(RelativeError(fixture.Apply(x), expected), 1e-6);
  EXPECT_LT(RelativeError(fixture.Apply(x.to(at::kFloat)), expected), 1e-6);
  EXPECT_LT(RelativeError(fixture.Apply(x.to(at::kBFloat16)), expected), 1e-2);
}

TEST_P(OpsDropout, IsTheSameHoweverTheBatchIsCut) {
  const at::Tensor x = RandomTensor("x", {24, GetParam()}).to(at::kFloat);
  const at::Tensor whole = Fixture({{Part({{6, 4}}, 1, 0)}}).Apply(x);
  std::vector<at::Tensor> pieces;
  for (const auto& [first, count] : {std::pair(0, 1), std::pair(1, 3), std::pair(4, 2)}) {
    pieces.push_back(Fixture({{Part({{count, 4}}, 1, first * 4)}}).Apply(x.narrow(0, first * 4, count * 4)));
  }
  EXPECT_TRUE(at::cat(pieces).equal(whole));
}

INSTANTIATE_TEST_SUITE_P(Columns, OpsDropout, testing::Values(1, 3, 10, 64, 129));

TEST(OpsDropoutMask, DropsTheShareAskedFor) {
  const Fixture fixture({{Part({{1, 1000}}, 1, 0)}});
  const at::Tensor ones = at::ones({1000, 100}, at::kFloat);
  const double dropped = fixture.Apply(ones).eq(0).sum().item<double>() / 1e5;
  EXPECT_NEAR(dropped, kP, 0.01);
  EXPECT_TRUE(fixture.Apply(ones, 0).equal(ones));
}

TEST(OpsDropoutMask, DiffersBetweenModulesClientsAndSteps) {
  const at::Tensor ones = at::ones({8, 64}, at::kFloat);
  const Fixture fixture({{Part({{1, 8}}, 1, 0)}});
  Fixture other_step = fixture;
  other_step.layout.parts[0].step = 8;
  const at::Tensor mask = fixture.Apply(ones);
  EXPECT_FALSE(fixture.Apply(ones, kP, kModule + 1).equal(mask));
  EXPECT_FALSE(Fixture({{Part({{1, 8}}, 2, 0)}}).Apply(ones).equal(mask));
  EXPECT_FALSE(other_step.Apply(ones).equal(mask));
}

}  // namespace
}  // namespace splitft::model
