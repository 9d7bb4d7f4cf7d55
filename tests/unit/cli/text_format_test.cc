#include "cli/text_format.h"

#include <gtest/gtest.h>

#include <cmath>

namespace splitft::cli {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(FormatCount, GroupsByThousands) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1000), "1,000");
  EXPECT_EQ(FormatCount(-1234567), "-1,234,567");
  EXPECT_EQ(FormatCount(-123), "-123");
}

TEST(FormatBytes, KeepsThreeDigits) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(999), "999 B");
  EXPECT_EQ(FormatBytes(1000), "1.00 kB");
  EXPECT_EQ(FormatBytes(12'345), "12.3 kB");
  EXPECT_EQ(FormatBytes(999'499), "999 kB");
  EXPECT_EQ(FormatBytes(999'500), "1.00 MB");
  EXPECT_EQ(FormatBytes(123'456'789'012), "123 GB");
}

TEST(FormatDuration, HoursOnlyWhereThereAreSome) {
  EXPECT_EQ(FormatDuration(milliseconds(7400)), "0:07");
  EXPECT_EQ(FormatDuration(seconds(754)), "12:34");
  EXPECT_EQ(FormatDuration(seconds(3723)), "1:02:03");
  EXPECT_EQ(FormatDuration(seconds(-5)), "0:00");
}

TEST(FormatLoss, WritesADashForWhatIsNoNumber) {
  EXPECT_EQ(FormatLoss(3.21426), "3.2143");
  EXPECT_EQ(FormatLoss(std::nan("")), "-");
}

TEST(CutToWidth, CountsCharactersNotBytes) {
  EXPECT_EQ(CutToWidth("hospital", 8), "hospital");
  EXPECT_EQ(CutToWidth("hospital", 5), "hosp…");
  EXPECT_EQ(CutToWidth("größe", 5), "größe");
  EXPECT_EQ(CutToWidth("größen", 4), "grö…");
  EXPECT_EQ(CutToWidth("x", 0), "");
}

TEST(FormatTable, AlignsColumnsAndLeavesNoTrailingBlanks) {
  EXPECT_EQ(FormatTable({.header = {"client", "cut", "note"},
                         .right_aligned = {false, true, false},
                         .rows = {{"hospital", "2", ""}, {"x", "12", "new"}}}),
            "  client    cut  note\n"
            "  hospital    2\n"
            "  x          12  new\n");
}

TEST(ShortPath, IsRelativeOnlyBelowTheFolder) {
  EXPECT_EQ(ShortPath("/home/a/out", "/home/a"), "out");
  EXPECT_EQ(ShortPath("/home/b/out", "/home/a"), "/home/b/out");
  EXPECT_EQ(ShortPath("/home/a", "/home/a"), ".");
}

TEST(ShellWord, QuotesWhatAShellWouldRead) {
  EXPECT_EQ(ShellWord("out/adapter-1"), "out/adapter-1");
  EXPECT_EQ(ShellWord("my out"), "'my out'");
  EXPECT_EQ(ShellWord("it's $HOME"), "'it'\\''s $HOME'");
  EXPECT_EQ(ShellWord(""), "''");
}

TEST(Plural, OneIsNotMany) {
  EXPECT_EQ(Plural(1, "step"), "1 step");
  EXPECT_EQ(Plural(2000, "step"), "2,000 steps");
}

}  // namespace
}  // namespace splitft::cli
