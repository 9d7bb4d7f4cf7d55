#include "cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/telemetry/exit.h"

namespace splitft::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Words = std::vector<std::string>;

CommandSpec Spec() {
  return {.name = "run",
          .positional = "JOB.yaml",
          .flags = {{.name = "--out", .value_name = "DIR"},
                    {.name = "--set", .value_name = "PATH=VALUE", .repeated = true},
                    {.name = "--alpha", .value_name = "A"},
                    {.name = "--json"}}};
}

// The error of a command line that must not parse, which must end the program as wrong usage.
std::string Refusal(const Words& words) {
  const absl::Status status = Arguments::Parse(Spec(), words).status();
  EXPECT_EQ(telemetry::ExitCodeOf(status), telemetry::ExitCode::kUsage);
  return std::string(status.message());
}

TEST(Arguments, ReadsFlagsAroundThePositional) {
  const auto parsed = Arguments::Parse(Spec(), Words{"--out", "/tmp/x", "job.yaml", "--json"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->positional(), "job.yaml");
  EXPECT_EQ(parsed->Text("--out", ""), "/tmp/x");
  EXPECT_TRUE(parsed->Has("--json"));
  EXPECT_FALSE(parsed->Has("--alpha"));
  EXPECT_EQ(parsed->Text("--alpha", "0.5"), "0.5");
}

TEST(Arguments, ReadsValuesThatHoldEqualsSignsAndDashes) {
  const auto parsed = Arguments::Parse(
      Spec(), Words{"job.yaml", "--set", "training.steps=50", "--set=split.labels=Server", "--out=--strange"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(parsed->All("--set"), ElementsAre("training.steps=50", "split.labels=Server"));
  EXPECT_EQ(parsed->Text("--out", ""), "--strange");
}

TEST(Arguments, TwoDashesEndTheFlags) {
  const auto parsed = Arguments::Parse(Spec(), Words{"--json", "--", "--help"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->positional(), "--help");
  EXPECT_FALSE(parsed->help());
}

TEST(Arguments, HelpComesBeforeEveryError) {
  const auto parsed = Arguments::Parse(Spec(), Words{"--nonsense", "-h"});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_TRUE(parsed->help());
}

TEST(Arguments, RefusesAnUnknownFlagWithASuggestion) {
  EXPECT_EQ(Refusal({"job.yaml", "--jsno"}),
            "unknown flag \"--jsno\" of `splitft run` (did you mean --json?); see `splitft run --help`");
  EXPECT_EQ(Refusal({"job.yaml", "--unlike-anything"}),
            "unknown flag \"--unlike-anything\" of `splitft run`; see `splitft run --help`");
}

TEST(Arguments, RefusesWhatIsMissingOrTooMuch) {
  EXPECT_THAT(Refusal({}), HasSubstr("needs a JOB.yaml"));
  EXPECT_THAT(Refusal({"a", "b"}), HasSubstr("\"b\" is one too many"));
  EXPECT_THAT(Refusal({"job.yaml", "--out"}), HasSubstr("--out needs a value"));
  EXPECT_THAT(Refusal({"job.yaml", "--json=yes"}), HasSubstr("--json takes no value"));
  EXPECT_THAT(Refusal({"job.yaml", "--out", "a", "--out", "b"}), HasSubstr("--out is given twice"));
}

TEST(Arguments, NumbersAreCheckedAgainstTheirRange) {
  const auto parsed = Arguments::Parse(Spec(), Words{"job.yaml", "--alpha", "12"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed->Integer("--alpha", 0, 1, 12), 12);
  EXPECT_EQ(*parsed->Number("--alpha", 0, 1, 12), 12.0);
  EXPECT_EQ(*parsed->Integer("--out", 7, 1, 12), 7);
  EXPECT_THAT(std::string(parsed->Integer("--alpha", 0, 1, 11).status().message()),
              HasSubstr("--alpha: \"12\" is not an integer from 1 to 11"));
}

TEST(Arguments, WhatIsNoNumberIsRefused) {
  for (const char* text : {"", "3x", "nan", "inf", "1e999"}) {
    const auto parsed = Arguments::Parse(Spec(), Words{"job.yaml", "--alpha", text});
    ASSERT_TRUE(parsed.ok());
    EXPECT_FALSE(parsed->Number("--alpha", 0, -1e300, 1e300).ok()) << text;
    EXPECT_FALSE(parsed->Integer("--alpha", 0, -10, 10).ok()) << text;
  }
}

}  // namespace
}  // namespace splitft::cli
