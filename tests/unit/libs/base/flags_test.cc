#include "libs/base/flags.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace splitft {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

absl::StatusOr<Flags> Parse(const std::vector<const char*>& arguments) {
  return ParseFlags(arguments, {"job"}, {"threads"});
}

TEST(ParseFlags, TakesBothForms) {
  const char* both[] = {"--job", "a b.yaml", "--threads=2"};
  EXPECT_THAT(ParseFlags(both, {"job"}, {"threads"}).value(),
              ElementsAre(Pair("job", "a b.yaml"), Pair("threads", "2")));
}

TEST(ParseFlags, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(Parse({"x"}).status().message(), "\"x\" is no flag; flags are --name VALUE");
  EXPECT_EQ(Parse({"--jbo", "x"}).status().message(), "unknown flag --jbo; known are --job, --threads");
  EXPECT_EQ(Parse({"--job"}).status().message(), "--job needs a value");
  EXPECT_EQ(Parse({"--job", "a", "--job=b"}).status().message(), "--job is given twice");
  EXPECT_EQ(Parse({"--threads=1"}).status().message(), "--job is missing");
}

TEST(IntegerOf, ChecksTheRange) {
  const IntegerFlag threads{.name = "threads", .low = 1, .high = 8, .fallback = 4};
  EXPECT_EQ(IntegerOf({}, threads).value(), 4);
  EXPECT_EQ(IntegerOf({{"threads", "8"}}, threads).value(), 8);
  for (const char* bad : {"0", "9", "two", "", "1.5"}) {
    EXPECT_EQ(IntegerOf({{"threads", bad}}, threads).status().message(),
              "--threads: \"" + std::string(bad) + "\" is no integer from 1 to 8");
  }
}

}  // namespace
}  // namespace splitft
