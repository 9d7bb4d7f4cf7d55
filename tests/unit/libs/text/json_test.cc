#include "libs/text/json.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace splitft::text {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Nested(int depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(Json, KeepsTheOrderOfMembers) { EXPECT_EQ(ParseJson(R"({"b": 1, "a": 2})")->dump(), R"({"b":1,"a":2})"); }

TEST(Json, RefusesDepthOverTheLimit) {
  EXPECT_TRUE(ParseJson(Nested(kJsonDepthLimit)).ok());
  EXPECT_THAT(std::string(ParseJson(Nested(kJsonDepthLimit + 1)).status().message()), HasSubstr("64 deep"));
  EXPECT_FALSE(ParseJson(Nested(1000000)).ok());
}

TEST(Json, BracketsInStringsAreNotDepth) {
  EXPECT_TRUE(ParseJson("\"" + std::string(100, '[') + "\\\"" + std::string(100, '{') + "\"").ok());
}

TEST(Json, NamesTheByteButNotTheText) {
  const absl::Status status = ParseJson(R"({"secret": hunter2})").status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("invalid JSON at byte 12"));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("hunter")));
  EXPECT_FALSE(ParseJson("").ok());
  EXPECT_FALSE(ParseJson("{} {}").ok());
  EXPECT_FALSE(ParseJson("\"\xff\"").ok());
  EXPECT_FALSE(ParseJson("1e999").ok());
}

}  // namespace
}  // namespace splitft::text
