#include "tests/tidy/rules/source_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace splitft::tidy {
namespace {

using ::testing::ElementsAre;

TEST(ParseSource, BlanksCommentsAndKeepsColumns) {
  EXPECT_THAT(ParseSource("a", "int a;  // b\nint /* c\nd */ e;\n").code,
              ElementsAre("int a;      ", "int     ", "     e;"));
}

TEST(ParseSource, BlanksLiteralsButNotTheirQuotes) {
  EXPECT_THAT(ParseSource("a", "f(\"a\\\"b\", '\"', 1'000); g();\n").code,
              ElementsAre("f(\"    \", ' ', 1'000); g();"));
}

TEST(ParseSource, BlanksRawStringsOverLines) {
  EXPECT_THAT(ParseSource("a", "x = R\"y(a)\"\n b)y\"; z\n").code, ElementsAre("x =        ", "     ; z"));
}

TEST(IsUnder, ComparesWholeNames) {
  EXPECT_TRUE(IsUnder("libs/base/a.h", "libs/base"));
  EXPECT_TRUE(IsUnder("libs/base", "libs/base"));
  EXPECT_FALSE(IsUnder("libs/baseline/a.h", "libs/base"));
  EXPECT_FALSE(IsUnder("lib", "libs"));
}

}  // namespace
}  // namespace splitft::tidy
