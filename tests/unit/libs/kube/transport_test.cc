#include "libs/kube/transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace splitft::kube {
namespace {

using ::testing::ElementsAre;

class LineSplitterTest : public ::testing::Test {
 protected:
  absl::Status Append(std::string_view bytes) {
    return splitter_.Append(bytes, [this](std::string_view line) {
      lines_.emplace_back(line);
      return line == "bad" ? absl::AbortedError("a bad line") : absl::OkStatus();
    });
  }
  LineSplitter splitter_;
  std::vector<std::string> lines_;
};

TEST_F(LineSplitterTest, LinesComeWhenTheirEndDoes) {
  ASSERT_TRUE(Append("one\ntw").ok());
  EXPECT_THAT(lines_, ElementsAre("one"));
  ASSERT_TRUE(Append("o").ok());
  ASSERT_TRUE(Append("").ok());
  EXPECT_THAT(lines_, ElementsAre("one"));
  ASSERT_TRUE(Append("\n").ok());
  ASSERT_TRUE(Append("three\nfour\nfi").ok());
  EXPECT_THAT(lines_, ElementsAre("one", "two", "three", "four"));
}

TEST_F(LineSplitterTest, EveryCutGivesTheSameLines) {
  const std::string text = "first\n\nsecond \n\n\nthird\nrest";
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    for (size_t second = cut; second <= text.size(); ++second) {
      splitter_ = LineSplitter();
      lines_.clear();
      ASSERT_TRUE(Append(text.substr(0, cut)).ok());
      ASSERT_TRUE(Append(text.substr(cut, second - cut)).ok());
      ASSERT_TRUE(Append(text.substr(second)).ok());
      ASSERT_THAT(lines_, ElementsAre("first", "second ", "third")) << cut << " " << second;
    }
  }
}

TEST_F(LineSplitterTest, TheFirstErrorEndsIt) {
  EXPECT_TRUE(absl::IsAborted(Append("good\nbad\nnever\n")));
  EXPECT_THAT(lines_, ElementsAre("good", "bad"));
  splitter_ = LineSplitter();
  ASSERT_TRUE(Append("ba").ok());
  EXPECT_TRUE(absl::IsAborted(Append("d\nnever\n")));
  EXPECT_THAT(lines_, ElementsAre("good", "bad", "bad"));
}

TEST_F(LineSplitterTest, ALineOverTheLimitIsRefused) {
  const std::string half(LineSplitter::kLineLimit / 2, 'x');
  ASSERT_TRUE(Append(half).ok());
  ASSERT_TRUE(Append(half).ok());
  EXPECT_TRUE(absl::IsDataLoss(Append("x")));
  EXPECT_TRUE(absl::IsDataLoss(Append("x\n")));  // nor when it ends at once
  EXPECT_TRUE(lines_.empty());
  ASSERT_TRUE(Append("\n").ok());
  ASSERT_EQ(lines_.size(), 1U);
  EXPECT_EQ(lines_[0].size(), LineSplitter::kLineLimit);
}

TEST_F(LineSplitterTest, ALineOverTheLimitInOnePieceIsRefused) {
  EXPECT_TRUE(absl::IsDataLoss(Append(std::string(LineSplitter::kLineLimit + 1, 'x') + "\n")));
  EXPECT_TRUE(lines_.empty());
}

}  // namespace
}  // namespace splitft::kube
