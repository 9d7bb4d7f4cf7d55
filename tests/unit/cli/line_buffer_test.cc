#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/child_process.h"

namespace splitft::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(LineBuffer, CompletesLinesAcrossPieces) {
  LineBuffer buffer;
  EXPECT_THAT(buffer.Append("one\ntw"), ElementsAre("one"));
  EXPECT_THAT(buffer.Append("o\nthree\n"), ElementsAre("two", "three"));
  EXPECT_THAT(buffer.Append("fo"), IsEmpty());
  EXPECT_THAT(buffer.Finish(), ElementsAre("fo"));
  EXPECT_THAT(buffer.Finish(), IsEmpty());
  EXPECT_THAT(buffer.lines(), ElementsAre("one", "two", "three", "fo"));
}

TEST(LineBuffer, SkipsEmptyLinesAndCarriageReturns) {
  LineBuffer buffer;
  EXPECT_THAT(buffer.Append("a\r\n\n\r\nb\n"), ElementsAre("a", "b"));
}

TEST(LineBuffer, KeepsTheNewestLines) {
  LineBuffer buffer;
  for (int i = 0; i < 1000; ++i) {
    buffer.Append(std::to_string(i) + "\n");
  }
  EXPECT_EQ(buffer.lines().size(), LineBuffer::kMaxLines);
  EXPECT_EQ(buffer.lines().back(), "999");
}

TEST(LineBuffer, CutsALineWithoutEnd) {
  LineBuffer buffer;
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(buffer.Append(std::string(1000, 'x')), IsEmpty());
  }
  buffer.Append("\nnext\n");
  EXPECT_EQ(buffer.lines().front().size(), LineBuffer::kMaxLineBytes);
  EXPECT_EQ(buffer.lines().back(), "next");
}

}  // namespace
}  // namespace splitft::cli
