#include <ATen/ops/mm.h>
#include <gtest/gtest.h>

#include "libs/model/ops/thin_products.h"
#include "tests/support/tensors.h"

namespace splitft::model {
namespace {

struct Sizes {
  int64_t rows;
  int64_t size;  // of the wide side
  int64_t rank;
};

// One more and one less than what the CPU's kernels take at a time: 2 or 64 rows, 8 ranks, 16 or 32 columns.
const Sizes kSizes[] = {{1, 5, 1}, {2, 16, 8}, {3, 33, 9}, {65, 100, 3}, {129, 47, 17}};

class OpsThinProducts : public testing::TestWithParam<Sizes> {
 protected:
  const int64_t rows_ = GetParam().rows;
  const int64_t size_ = GetParam().size;
  const int64_t rank_ = GetParam().rank;
};

TEST_P(OpsThinProducts, MatMulIsTheProduct) {
  const at::Tensor x = RandomTensor("x", {rows_, size_});
  const at::Tensor w = RandomTensor("w", {size_, rank_}).t();
  const at::Tensor expected = at::mm(x, w.t());
  for (const auto& [type, tolerance] :
       {std::pair(at::kDouble, 1e-12), std::pair(at::kFloat, 1e-6), std::pair(at::kBFloat16, 1e-2)}) {
    const at::Tensor actual = ThinMatMul(x.to(type), w.to(type));
    EXPECT_NE(actual.scalar_type(), at::kBFloat16);
    EXPECT_LT(RelativeError(actual, expected), tolerance) << type;
  }
}

// Exact inputs: what is left is how the sum is taken.
TEST_P(OpsThinProducts, Bfloat16IsAddedUpInFloat32) {
  const at::Tensor x = RandomTensor("x", {rows_, size_}).to(at::kBFloat16);
  const at::Tensor w = RandomTensor("w", {rank_, size_}).to(at::kBFloat16);
  EXPECT_LT(RelativeError(ThinMatMul(x, w), at::mm(x.to(at::kDouble), w.to(at::kDouble).t())), 1e-6);
}

TEST_P(OpsThinProducts, TransposedProductIsAdded) {
  for (const bool thin_first : {false, true}) {
    const at::Tensor wide = RandomTensor("wide", {rows_, size_});
    const at::Tensor thin = RandomTensor("thin", {rows_, rank_});
    const at::Tensor before =
        RandomTensor("before", thin_first ? std::vector{rank_, size_} : std::vector{size_, rank_});
    const at::Tensor expected = before.add(thin_first ? at::mm(thin.t(), wide) : at::mm(wide.t(), thin));
    for (const auto& [type, tolerance] :
         {std::pair(at::kDouble, 1e-12), std::pair(at::kFloat, 1e-6), std::pair(at::kBFloat16, 1e-2)}) {
      const at::ScalarType at_least_float = type == at::kDouble ? at::kDouble : at::kFloat;
      const at::Tensor a = wide.to(type);
      const at::Tensor b = thin.to(at_least_float);
      at::Tensor target = before.to(at_least_float, /*non_blocking=*/false, /*copy=*/true);
      AddTransposedProduct(thin_first ? b : a, thin_first ? a : b, target);
      EXPECT_LT(RelativeError(target, expected), tolerance) << type << (thin_first ? " thin first" : "");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, OpsThinProducts, testing::ValuesIn(kSizes), [](const auto& info) {
  return std::to_string(info.param.rows) + "x" + std::to_string(info.param.size) + "x" +
         std::to_string(info.param.rank);
});

}  // namespace
}  // namespace splitft::model
