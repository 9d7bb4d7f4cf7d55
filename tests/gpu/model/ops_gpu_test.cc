// The ops on a GPU against the same ops on the CPU in double, whose own tests hold them to their definitions.

#include <ATen/Context.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include "libs/model/ops/attention.h"
#include "libs/model/ops/cross_entropy.h"
#include "libs/model/ops/dropout.h"
#include "libs/model/ops/frozen_weight.h"
#include "libs/model/ops/gelu.h"
#include "libs/model/ops/layer_norm.h"
#include "libs/model/ops/rms_norm.h"
#include "libs/model/ops/rope.h"
#include "libs/model/ops/swiglu.h"
#include "libs/model/ops/thin_products.h"
#include "tests/support/tensors.h"

namespace splitft::model {
namespace {

constexpr int64_t kRows = 37;
constexpr int64_t kSize = 64;

// A type, and how far from double its results may be.
struct Precision {
  at::ScalarType type;
  double tolerance;
};

class GpuOps : public testing::TestWithParam<Precision> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) {
      GTEST_SKIP() << "this machine has no CUDA device";
    }
  }
  at::TensorOptions Options() const { return at::TensorOptions(at::kCUDA).dtype(GetParam().type); }
  // On the GPU as `Options` say.
  at::Tensor There(const at::Tensor& x) const { return x.to(Options()); }
  void ExpectNear(const at::Tensor& actual, const at::Tensor& expected, const char* what) const {
    EXPECT_TRUE(actual.is_cuda()) << what;
    EXPECT_LT(RelativeError(actual.cpu(), expected), GetParam().tolerance) << what;
  }
  // Numbers that bf16 holds exactly, so that rounding the inputs is no difference.
  static at::Tensor Exact(const char* name, const std::vector<int64_t>& shape) {
    return RandomTensor(name, shape).to(at::kBFloat16).to(at::kDouble);
  }

  const BatchLayout layout_ = {{{.runs = {{2, 9}, {1, 12}}, .client = 3, .step = 5, .first_token = 2},
                                {.runs = {{1, 7}}, .client = 4, .step = 5}}};
  const at::Tensor x_ = Exact("x", {kRows, kSize});
  const at::Tensor grad_ = Exact("grad", {kRows, kSize});
};

TEST_P(GpuOps, Norms) {
  const at::Tensor weight = Exact("weight", {kSize});
  const at::Tensor bias = Exact("bias", {kSize});
  const LayerNorm layer(weight, bias, 1e-5);
  const LayerNorm layer_there(There(weight), There(bias), 1e-5);
  ExpectNear(layer_there.Forward(There(x_)), layer.Forward(x_), "layer norm");
  ExpectNear(layer_there.Backward(There(grad_), There(x_), There(x_)), layer.Backward(grad_, x_, x_),
             "layer norm's gradient");
  const RmsNorm rms(weight, 1e-5);
  const RmsNorm rms_there(There(weight), 1e-5);
  ExpectNear(rms_there.Forward(There(x_)), rms.Forward(x_), "rms norm");
  ExpectNear(rms_there.Backward(There(grad_), There(x_), There(x_)), rms.Backward(grad_, x_, x_),
             "rms norm's gradient");
}

TEST_P(GpuOps, Activations) {
  ExpectNear(Gelu(There(x_)), Gelu(x_), "gelu");
  ExpectNear(GeluBackward(There(grad_), There(x_)), GeluBackward(grad_.clone(), x_), "gelu's gradient");
  const at::Tensor up = Exact("up", {kRows, kSize});
  ExpectNear(SwiGlu(There(x_), There(up)), SwiGlu(x_, up), "swiglu");
  const SwiGluGrad actual = SwiGluBackward(There(grad_), There(x_), There(up));
  const SwiGluGrad expected = SwiGluBackward(grad_.clone(), x_, up);
  ExpectNear(actual.gate, expected.gate, "swiglu's gradient by the gate");
  ExpectNear(actual.up, expected.up, "swiglu's gradient by up");
}

TEST_P(GpuOps, Products) {
  const at::Tensor weight = Exact("weight", {kSize, 48}).t();
  const at::Tensor grad = Exact("out", {kRows, 48});
  const FrozenWeight frozen(weight);
  const FrozenWeight frozen_there(There(weight));
  ExpectNear(frozen_there.Apply(There(x_), {}, There(grad)), frozen.Apply(x_, {}, grad), "product");
  ExpectNear(frozen_there.ApplyTransposed(There(grad), There(x_)), frozen.ApplyTransposed(grad, x_),
             "transposed product");
  const at::Tensor thin = Exact("thin", {8, kSize});
  ExpectNear(ThinMatMul(There(x_), There(thin)), ThinMatMul(x_, thin), "thin product");
  const at::Tensor low_rank = Exact("low rank", {kRows, 8});
  const at::Tensor sum = at::zeros({kSize, 8}, at::kDouble);
  const at::Tensor sum_there = at::zeros({kSize, 8}, Options().dtype(at::kFloat));
  AddTransposedProduct(x_, low_rank, sum);
  AddTransposedProduct(There(x_), low_rank.to(sum_there.options()), sum_there);
  ExpectNear(sum_there, sum, "transposed thin product");
}

TEST_P(GpuOps, RopeRotatesAndBack) {
  RopeConfig config;
  config.theta = 10000;
  const Rope rope(config, 16);
  at::Tensor expected = x_.clone().view({kRows, 4, 16});
  at::Tensor actual = There(x_).view({kRows, 4, 16});
  rope.Rotate(layout_, &expected);
  rope.Rotate(layout_, &actual);
  ExpectNear(actual, expected, "rotation");
  rope.RotateBack(layout_, &actual);
  ExpectNear(actual.view({kRows, kSize}), x_, "rotation back");
}

TEST_P(GpuOps, CrossEntropyAndItsGradient) {
  const at::Tensor labels = RandomTensor("labels", {kRows}).add_(1).mul_(kSize / 2).to(at::kLong);
  at::Tensor expected = x_.clone();
  at::Tensor actual = There(x_);
  const double loss = CrossEntropy(labels, true, &expected);
  EXPECT_NEAR(CrossEntropy(labels.cuda(), true, &actual), loss, GetParam().tolerance * loss);
  ExpectNear(actual, expected, "gradient");
}

// Not near: the same mask, so that a block's client may have no GPU while the aggregator has one.
TEST_P(GpuOps, DropoutDrawsTheCpusMask) {
  const BlockAdapters none;
  const BlockContext context = {layout_, none, 0.3, 99};
  const Dropout dropout(context, 5, 2);
  const at::Tensor ones = x_.mul(0).add(1).to(GetParam().type);
  EXPECT_TRUE(dropout.Apply(ones.cuda()).cpu().equal(dropout.Apply(ones)));
}

TEST_P(GpuOps, AttentionForwardAndBackward) {
  const Attention attention({4, 2, 16, std::nullopt});
  const QueryKeyValue inputs = {x_, Exact("k", {kRows, 32}), Exact("v", {kRows, 32})};
  const QueryKeyValue there = {There(inputs.q), There(inputs.k), There(inputs.v)};
  const auto empty = [](const QueryKeyValue& like) {
    return QueryKeyValue{at::empty(like.q.sizes(), like.q.options()), at::empty(like.k.sizes(), like.k.options()),
                         at::empty(like.v.sizes(), like.v.options())};
  };
  const QueryKeyValue expected = empty(inputs);
  const QueryKeyValue actual = empty(there);
  AttentionTape tape;
  AttentionTape tape_there;
  const at::Tensor out = attention.Forward(inputs, layout_, &tape);
  ExpectNear(attention.Forward(there, layout_, &tape_there), out, "attention");
  attention.Backward(grad_, tape, layout_, expected);
  attention.Backward(There(grad_), tape_there, layout_, actual);
  ExpectNear(actual.q, expected.q, "gradient by q");
  ExpectNear(actual.k, expected.k, "gradient by k");
  ExpectNear(actual.v, expected.v, "gradient by v");
}

INSTANTIATE_TEST_SUITE_P(Types, GpuOps, testing::Values(Precision{at::kFloat, 1e-5}, Precision{at::kBFloat16, 2e-2}),
                         [](const auto& info) { return std::string(c10::toString(info.param.type)); });

}  // namespace
}  // namespace splitft::model
