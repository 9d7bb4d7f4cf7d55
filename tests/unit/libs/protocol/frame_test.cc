#include "libs/protocol/frame.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace splitft::protocol {
namespace {

TEST(Frame, EveryKindHasItsOwnName) {
  std::set<std::string_view> names;
  for (uint32_t value = 1; value <= 18; ++value) {
    EXPECT_TRUE(IsFrameKind(value));
    names.insert(FrameKindName(static_cast<FrameKind>(value)));
  }
  EXPECT_EQ(names.size(), 18u);
  EXPECT_FALSE(names.contains("unknown"));
  for (const uint32_t value : {0U, 19U, 0xFFFFFFFFU}) {
    EXPECT_FALSE(IsFrameKind(value));
    EXPECT_EQ(FrameKindName(static_cast<FrameKind>(value)), "unknown");
  }
}

TEST(Frame, FormatsHaveNamesAndSizes) {
  EXPECT_EQ(WireFormatName(WireFormat::kBf16), "bf16");
  EXPECT_EQ(WireFormatBytes(WireFormat::kNone), 0);
  EXPECT_EQ(WireFormatBytes(WireFormat::kFp32), 4);
  EXPECT_EQ(WireFormatBytes(WireFormat::kBf16), 2);
  EXPECT_EQ(WireFormatBytes(WireFormat::kInt32), 4);
  EXPECT_EQ(WireFormatName(WireFormat::kInt8), "int8");
  EXPECT_EQ(WireFormatBytes(WireFormat::kInt8), 1);
  EXPECT_TRUE(IsWireFormat(4));
  EXPECT_FALSE(IsWireFormat(5));
}

TEST(Frame, ATensorsBytesAreItsNumbersAndItsScales) {
  const auto bytes = [](WireFormat format, std::vector<int64_t> shape) {
    return TensorBytes({.format = format, .shape = std::move(shape), .runs = {}});
  };
  EXPECT_EQ(bytes(WireFormat::kFp32, {6, 4}), 96);
  EXPECT_EQ(bytes(WireFormat::kInt32, {6}), 24);
  EXPECT_EQ(bytes(WireFormat::kInt8, {6, 5}), 54);
  EXPECT_EQ(bytes(WireFormat::kInt8, {0, 5}), 0);
  EXPECT_EQ(bytes(WireFormat::kNone, {}), 0);
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{30}, {}, {2, 3, 4}, {-6, 5}, {6, -3}, {kHuge, 2}, {kHuge, 1}, {1, kHuge}}) {
    EXPECT_EQ(bytes(WireFormat::kInt8, shape), std::nullopt);
  }
  EXPECT_EQ(bytes(WireFormat::kFp32, {-6, -4}), std::nullopt);
}

TEST(Frame, DescriptionsShowStrangeNamesHarmless) {
  const FrameKey key{.job_uid = "j",
                     .attempt = 1,
                     .client = "\x1b[31m" + std::string(100, 'x'),
                     .step = 2,
                     .microbatch = 3,
                     .kind = FrameKind::kGradientUp};
  EXPECT_EQ(DescribeFrame(key),
            "GradientUp of client \"\\x1b[31m" + std::string(59, 'x') + "\", attempt 1, step 2, microbatch 3");
}

}  // namespace
}  // namespace splitft::protocol
