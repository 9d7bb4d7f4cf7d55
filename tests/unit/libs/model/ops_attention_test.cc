#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "libs/model/ops/attention.h"
#include "tests/support/tensors.h"

namespace splitft::model {
namespace {

struct Setting {
  const char* name;
  Attention::Shape shape;
  BatchLayout layout;
};

// Sequences shorter than, as long as and longer than a block of queries (128).
const Setting kSettings[] = {
    {"OneSequence", {2, 2, 4, std::nullopt}, {{{{{1, 6}}}}}},
    {"Ragged", {3, 3, 4, std::nullopt}, {{{{{2, 3}, {1, 5}}}, {{{1, 1}, {2, 4}}}}}},
    {"GroupedHeads", {6, 2, 4, std::nullopt}, {{{{{2, 5}, {1, 2}}}}}},
    {"Window", {2, 2, 4, 3}, {{{{{1, 9}, {2, 2}}}}}},
    {"WindowOfOne", {2, 1, 4, 1}, {{{{{1, 4}}}}}},
    {"SeveralBlocks", {2, 1, 4, std::nullopt}, {{{{{1, 131}, {1, 128}}}}}},
    {"WindowOverBlocks", {2, 1, 4, 70}, {{{{{1, 300}}}}}},
};

class OpsAttention : public testing::TestWithParam<Setting> {
 protected:
  OpsAttention()
      : tokens_(GetParam().layout.tokens()),
        inputs_(
            {Random("q", shape().heads), Random("k", shape().key_value_heads), Random("v", shape().key_value_heads)}),
        grad_(Random("grad", shape().heads)) {}

  const Attention::Shape& shape() const { return GetParam().shape; }
  at::Tensor Random(const std::string& name, int64_t heads) const {
    return RandomTensor(name, {tokens_, heads * shape().head_size}).mul_(2);
  }

  // By the definition: each query against each key it sees.
  at::Tensor Expected() const {
    at::Tensor out = at::zeros_like(inputs_.q);
    int64_t row = 0;
    for (const BatchPart& part : GetParam().layout.parts) {
      for (const SequenceRun& run : part.runs) {
        for (int64_t i = 0; i < run.count; ++i, row += run.length) {
          for (int64_t head = 0; head < shape().heads; ++head) {
            AddHead(row, run.length, head, out);
          }
        }
      }
    }
    return out;
  }
  void AddHead(int64_t first, int64_t length, int64_t head, at::Tensor& out_tensor) const {
    const int64_t size = shape().head_size;
    const int64_t q_column = head * size;
    const int64_t k_column = head / (shape().heads / shape().key_value_heads) * size;
    const auto q = inputs_.q.accessor<double, 2>();
    const auto k = inputs_.k.accessor<double, 2>();
    const auto v = inputs_.v.accessor<double, 2>();
    auto out = out_tensor.accessor<double, 2>();
    for (int64_t query = 0; query < length; ++query) {
      const int64_t oldest = shape().window ? std::max<int64_t>(0, query - *shape().window + 1) : 0;
      double sum = 0;
      std::vector<double> weights;
      for (int64_t key = oldest; key <= query; ++key) {
        double score = 0;
        for (int64_t s = 0; s < size; ++s) {
          score += q[first + query][q_column + s] * k[first + key][k_column + s];
        }
        weights.push_back(std::exp(score / std::sqrt(static_cast<double>(size))));
        sum += weights.back();
      }
      for (int64_t key = oldest; key <= query; ++key) {
        for (int64_t s = 0; s < size; ++s) {
          out[first + query][q_column + s] +=
              weights[static_cast<size_t>(key - oldest)] / sum * v[first + key][k_column + s];
        }
      }
    }
  }

  int64_t tokens_;
  QueryKeyValue inputs_;
  at::Tensor grad_;
};

QueryKeyValue As(at::ScalarType type, const QueryKeyValue& x) { return {x.q.to(type), x.k.to(type), x.v.to(type)}; }

TEST_P(OpsAttention, IsItsDefinition) {
  const Attention attention(shape());
  const at::Tensor expected = Expected();
  for (const auto& [type, tolerance] :
       {std::pair(at::kDouble, 1e-13), std::pair(at::kFloat, 1e-6), std::pair(at::kBFloat16, 1e-2)}) {
    EXPECT_LT(RelativeError(attention.Forward(As(type, inputs_), GetParam().layout, nullptr), expected), tolerance)
        << type;
  }
}

// The whole numerical gradient is slow for long sequences: a direction suffices, since every number takes part in it.
TEST_P(OpsAttention, BackwardIsTheSlopeOfForward) {
  const Attention attention(shape());
  AttentionTape tape;
  attention.Forward(inputs_, GetParam().layout, &tape);
  QueryKeyValue grads = {at::empty_like(inputs_.q), at::empty_like(inputs_.k), at::empty_like(inputs_.v)};
  attention.Backward(grad_, tape, GetParam().layout, grads);
  for (const auto member : {&QueryKeyValue::q, &QueryKeyValue::k, &QueryKeyValue::v}) {
    const at::Tensor direction = RandomTensor("direction", (inputs_.*member).sizes().vec());
    const at::Tensor at = at::empty({1}, at::kDouble).fill_(0);
    const at::Tensor slope = NumericalGradient(at, [&] {
      QueryKeyValue moved = inputs_;
      moved.*member = (inputs_.*member).add(direction, at.item<double>());
      return Weigh(grad_, attention.Forward(moved, GetParam().layout, nullptr));
    });
    EXPECT_NEAR(Weigh(direction, grads.*member), slope.item<double>(), 1e-7 * (1 + std::abs(slope.item<double>())));
  }
}

TEST_P(OpsAttention, KernelsGiveTheGradientsOfDoublePrecision) {
  const Attention attention(shape());
  const auto backward = [&](at::ScalarType type, bool strided) {
    const at::Tensor wide = at::empty({tokens_, 3 * inputs_.q.size(1)}, type);
    QueryKeyValue inputs = As(type, inputs_);
    QueryKeyValue grads = {at::empty_like(inputs.q), at::empty_like(inputs.k), at::empty_like(inputs.v)};
    if (strided && inputs.k.size(1) == inputs.q.size(1)) {  // views of one tensor, as GPT-2 has them
      const int64_t size = inputs.q.size(1);
      grads = {wide.narrow(1, 0, size), wide.narrow(1, size, size), wide.narrow(1, 2 * size, size)};
      const at::Tensor joined = at::empty_like(wide);
      QueryKeyValue views = {joined.narrow(1, 0, size), joined.narrow(1, size, size), joined.narrow(1, 2 * size, size)};
      views.q.copy_(inputs.q);
      views.k.copy_(inputs.k);
      views.v.copy_(inputs.v);
      inputs = views;
    }
    AttentionTape tape;
    attention.Forward(inputs, GetParam().layout, &tape);
    attention.Backward(grad_.to(type), tape, GetParam().layout, grads);
    return grads;
  };
  const QueryKeyValue expected = backward(at::kDouble, false);
  for (const auto& [type, tolerance] : {std::pair(at::kFloat, 1e-5), std::pair(at::kBFloat16, 3e-2)}) {
    const QueryKeyValue actual = backward(type, true);
    // Where a query sees one key only, nothing depends on q and k.
    if (shape().window != 1) {
      EXPECT_LT(RelativeError(actual.q, expected.q), tolerance) << type;
      EXPECT_LT(RelativeError(actual.k, expected.k), tolerance) << type;
    }
    EXPECT_LT(RelativeError(actual.v, expected.v), tolerance) << type;
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, OpsAttention, testing::ValuesIn(kSettings),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace splitft::model
