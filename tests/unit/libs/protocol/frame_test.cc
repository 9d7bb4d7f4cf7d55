#include "libs/protocol/frame.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

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
  EXPECT_TRUE(IsWireFormat(3));
  EXPECT_FALSE(IsWireFormat(4));
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
