// int8 rows on a GPU against the CPU's: the bytes are the same, so that either side may have one.

#include <ATen/Context.h>
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <optional>

#include "libs/train/int8_rows.h"
#include "tests/support/tensors.h"

namespace splitft::train {
namespace {

// Either side of the 64 columns that share a word's halves, of the 256 of a warp, and of a block's 1,024.
constexpr int64_t kWidths[] = {1, 2, 63, 64, 65, 255, 256, 257, 768, 1023, 1025, 4096};
constexpr int64_t kRows = 37;

class GpuInt8 : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) {
      GTEST_SKIP() << "this machine has no CUDA device";
    }
  }
  static at::Tensor Rows(int64_t columns) {
    at::Tensor rows = RandomTensor("rows", {kRows, columns}).to(GetParam());
    rows[3].zero_();
    rows[4].mul_(1e-36);  // below the least scale
    rows[5].mul_(1e30);
    return rows;
  }
  static void ExpectSame(const protocol::Payload& actual, const protocol::Payload& expected) {
    ASSERT_EQ(actual.bytes().size(), expected.bytes().size());
    EXPECT_EQ(std::memcmp(actual.bytes().data(), expected.bytes().data(), expected.bytes().size()), 0);
  }
};

TEST_P(GpuInt8, EncodesToTheCpusBytes) {
  const RandomStream noise({.seed = 5, .purpose = RandomPurpose::kRounding});
  for (const int64_t columns : kWidths) {
    SCOPED_TRACE(columns);
    const at::Tensor rows = Rows(columns);
    ExpectSame(Int8Payload(rows.cuda(), std::nullopt), Int8Payload(rows, std::nullopt));
    ExpectSame(Int8Payload(rows.cuda(), noise), Int8Payload(rows, noise));
  }
}

TEST_P(GpuInt8, RowsThatAreNotFiniteAreTheCpusToo) {
  at::Tensor rows = Rows(300);
  rows[1][299] = std::numeric_limits<float>::quiet_NaN();
  rows[36][0] = -std::numeric_limits<float>::infinity();
  ExpectSame(Int8Payload(rows.cuda(), std::nullopt), Int8Payload(rows, std::nullopt));
}

TEST_P(GpuInt8, DecodesToTheCpusNumbers) {
  for (const int64_t columns : kWidths) {
    const protocol::Payload payload = Int8Payload(Rows(columns), std::nullopt);
    const at::Tensor actual = Int8Tensor(payload, {kRows, columns}, at::TensorOptions(at::kCUDA).dtype(GetParam()));
    EXPECT_TRUE(actual.is_cuda());
    EXPECT_TRUE(actual.cpu().equal(Int8Tensor(payload, {kRows, columns}, GetParam()))) << columns;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, GpuInt8, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) { return std::string(c10::toString(info.param)); });

}  // namespace
}  // namespace splitft::train
