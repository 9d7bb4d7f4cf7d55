#include <ATen/ops/mm.h>
#include <gtest/gtest.h>

#include "libs/model/ops/frozen_weight.h"
#include "tests/support/tensors.h"

namespace splitft::model {
namespace {

constexpr int64_t kIn = 70;
constexpr int64_t kOut = 33;

// Both directions, twice each and in either order: the first use of a direction packs, the last lets the weight go.
TEST(OpsFrozenWeight, MultipliesBothWays) {
  const at::Tensor weight = RandomTensor("weight", {kIn, kOut}).t();  // as GPT-2 stores it
  const at::Tensor bias = RandomTensor("bias", {kOut});
  for (const auto& [type, tolerance] :
       {std::pair(at::kDouble, 1e-12), std::pair(at::kFloat, 1e-6), std::pair(at::kBFloat16, 1e-2)}) {
    for (const int64_t rows : {1, 37}) {
      const at::Tensor x = RandomTensor("x", {rows, kIn});
      const at::Tensor grad = RandomTensor("grad", {rows, kOut});
      const at::Tensor forward = at::mm(x, weight.t()).add(bias).add(grad);
      const at::Tensor backward = at::mm(grad, weight).add(x);
      const FrozenWeight frozen(weight.to(type));
      for (int i = 0; i < 2; ++i) {
        EXPECT_LT(RelativeError(frozen.Apply(x.to(type), bias.to(type), grad.to(type)), forward), tolerance) << type;
        EXPECT_LT(RelativeError(frozen.ApplyTransposed(grad.to(type), x.to(type)), backward), tolerance) << type;
      }
    }
  }
}

}  // namespace
}  // namespace splitft::model
