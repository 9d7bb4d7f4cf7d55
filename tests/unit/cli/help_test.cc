#include "cli/help.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_split.h"

namespace splitft::cli {
namespace {

using testing::HasSubstr;

CommandSpec Spec() {
  return {.name = "run",
          .summary = "Run a job",
          .details = "Some details.",
          .positional = "JOB.yaml",
          .flags = {{.name = "--out", .value_name = "DIR", .help = "where it's written"},
                    {.name = "--by", .value_name = "POLICY", .help = "how [or not]", .choices = {"iid", "size"}},
                    {.name = "--json", .help = "for machines"}},
          .examples = {{.command = "splitft run job.yaml", .what = "a job"}}};
}

TEST(Help, OfACommandIsComplete) {
  EXPECT_EQ(FormatCommandHelp(Spec()),
            "Run a job\n"
            "\n"
            "Usage: splitft run JOB.yaml [flags]\n"
            "\n"
            "Some details.\n"
            "\n"
            "Flags:\n"
            "  --out DIR    where it's written\n"
            "  --by POLICY  how [or not]\n"
            "  --json       for machines\n"
            "  --help       show this text\n"
            "\n"
            "Examples:\n"
            "  # a job\n"
            "  splitft run job.yaml\n");
}

TEST(Help, BreaksLongTextUnderItsOwnColumn) {
  CommandSpec spec = Spec();
  spec.flags[0].help = std::string(60, 'a') + " " + std::string(60, 'b');
  EXPECT_THAT(FormatCommandHelp(spec),
              HasSubstr("  --out DIR    " + std::string(60, 'a') + "\n               " + std::string(60, 'b') + "\n"));
}

TEST(Help, OverviewListsEveryCommand) {
  const std::vector<CommandSpec> specs = {Spec()};
  EXPECT_THAT(FormatOverview(specs), HasSubstr("  run  Run a job\n"));
}

TEST(Completion, KnowsThreeShells) {
  const std::vector<CommandSpec> specs = {Spec()};
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const auto script = FormatCompletion(shell, specs);
    ASSERT_TRUE(script.ok()) << shell;
    EXPECT_THAT(*script, HasSubstr("iid size")) << shell;
  }
  EXPECT_THAT(std::string(FormatCompletion("tcsh", specs).status().message()), HasSubstr("\"tcsh\" is not one of"));
}

TEST(Completion, QuotesWhatHelpTextsHold) {
  const std::vector<CommandSpec> specs = {Spec()};
  EXPECT_THAT(*FormatCompletion("zsh", specs), HasSubstr("'--out[where it'\\''s written]:DIR:_files -/'"));
  EXPECT_THAT(*FormatCompletion("zsh", specs), HasSubstr("how \\[or not\\]"));
}

}  // namespace
}  // namespace splitft::cli
