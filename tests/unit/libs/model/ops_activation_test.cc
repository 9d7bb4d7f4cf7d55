#include <ATen/ops/cat.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include "libs/model/ops/gelu.h"
#include "libs/model/ops/swiglu.h"
#include "tests/support/tensors.h"

namespace splitft::model {
namespace {

// Ordinary values, the flat tails, and zero.
at::Tensor Inputs() {
  return at::cat({RandomTensor("x", {41}).mul_(4), at::tensor({0.0, 12.0, -12.0, 60.0, -60.0}, at::kDouble)});
}

at::Tensor GeluDefinition(const at::Tensor& x) {
  const at::Tensor u = x.add(x.pow(3).mul(0.044715)).mul(0.7978845608028654);
  return u.tanh().add(1).mul(x).mul(0.5);
}

TEST(OpsGelu, IsItsDefinition) {
  const at::Tensor x = Inputs();
  EXPECT_LT(RelativeError(Gelu(x), GeluDefinition(x)), 1e-14);
  EXPECT_LT(RelativeError(Gelu(x.to(at::kFloat)), GeluDefinition(x)), 1e-6);
  EXPECT_LT(RelativeError(Gelu(x.to(at::kBFloat16)), GeluDefinition(x)), 1e-2);
}

TEST(OpsGelu, BackwardIsTheSlopeOfForward) {
  const at::Tensor x = Inputs();
  const at::Tensor grad = RandomTensor("grad", {x.numel()});
  const at::Tensor expected = NumericalGradient(x, [&] { return Weigh(grad, Gelu(x)); });
  EXPECT_LT(RelativeError(GeluBackward(grad.clone(), x), expected), 1e-8);
  EXPECT_LT(RelativeError(GeluBackward(grad.to(at::kFloat), x.to(at::kFloat)), expected), 1e-6);
  EXPECT_LT(RelativeError(GeluBackward(grad.to(at::kBFloat16), x.to(at::kBFloat16)), expected), 2e-2);
}

TEST(OpsGelu, PassesNotANumberOn) {
  const at::Tensor x = at::tensor({1.0, std::nan(""), 2.0}, at::kFloat);
  const at::Tensor y = Gelu(x.to(at::kBFloat16));
  EXPECT_EQ(y.isnan().sum().item<int64_t>(), 1);
  EXPECT_TRUE(Gelu(x)[1].isnan().item<bool>());
}

TEST(OpsSwiGlu, IsItsDefinition) {
  const at::Tensor gate = Inputs();
  const at::Tensor up = RandomTensor("up", {gate.numel()});
  const at::Tensor expected = gate.div(gate.neg().exp().add(1)).mul(up);
  EXPECT_LT(RelativeError(SwiGlu(gate, up), expected), 1e-14);
  EXPECT_LT(RelativeError(SwiGlu(gate.to(at::kFloat), up.to(at::kFloat)), expected), 1e-6);
  EXPECT_LT(RelativeError(SwiGlu(gate.to(at::kBFloat16), up.to(at::kBFloat16)), expected), 1e-2);
}

TEST(OpsSwiGlu, BackwardIsTheSlopeOfForward) {
  const at::Tensor gate = Inputs();
  const at::Tensor up = RandomTensor("up", {gate.numel()});
  const at::Tensor grad = RandomTensor("grad", {gate.numel()});
  const auto loss = [&] { return Weigh(grad, SwiGlu(gate, up)); };
  const at::Tensor by_gate = NumericalGradient(gate, loss);
  const at::Tensor by_up = NumericalGradient(up, loss);
  for (const auto& [type, tolerance] :
       {std::pair(at::kDouble, 1e-6), std::pair(at::kFloat, 1e-6), std::pair(at::kBFloat16, 2e-2)}) {
    const SwiGluGrad actual = SwiGluBackward(grad.to(type, false, /*copy=*/true), gate.to(type), up.to(type));
    EXPECT_LT(RelativeError(actual.gate, by_gate), tolerance) << type;
    EXPECT_LT(RelativeError(actual.up, by_up), tolerance) << type;
  }
}

}  // namespace
}  // namespace splitft::model
