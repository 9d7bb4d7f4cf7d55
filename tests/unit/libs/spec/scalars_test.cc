#include "libs/spec/scalars.h"

#include <gtest/gtest.h>

namespace splitft::spec {
namespace {

TEST(KindOfPlain, KnowsWhatAnyReaderOfYamlTakesForNoString) {
  for (const char* text : {"0", "-7", "+1", "1.5", ".5", "5.", "1e-4", "1E+4", "0x1F", "0b101", "0o17", "017", "1_000",
                           ".inf", "-.Inf", ".nan"}) {
    EXPECT_EQ(KindOfPlain(text), PlainKind::kNumber) << text;
  }
  for (const char* text : {"true", "False", "yes", "NO", "on", "Off", "y", "N"}) {
    EXPECT_EQ(KindOfPlain(text), PlainKind::kBoolean) << text;
  }
  for (const char* text : {"", "~", "null", "NULL"}) {
    EXPECT_EQ(KindOfPlain(text), PlainKind::kNull) << text;
  }
  for (const char* text :
       {"q_proj", "1a", "e5", ".", "-", "0x", "0xg", "_1", "1.2.3", "1e", "nonsense", "yess", "v1", "1-2"}) {
    EXPECT_EQ(KindOfPlain(text), PlainKind::kText) << text;
  }
}

TEST(ReadInteger, TakesIntegersOnly) {
  EXPECT_EQ(ReadInteger("0"), 0);
  EXPECT_EQ(ReadInteger("-9223372036854775808"), INT64_MIN);
  EXPECT_EQ(ReadInteger("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(ReadInteger("+5"), 5);
  EXPECT_EQ(ReadInteger("1e3"), 1000);
  EXPECT_EQ(ReadInteger("2.50e1"), 25);
  EXPECT_EQ(ReadInteger("9007199254740992.0"), 9007199254740992);
  for (const char* text :
       {"", "-", "1.5", "1e-1", "9223372036854775808", "1e16", "007", "-01", "0x10", "1_000", "5 ", "five"}) {
    EXPECT_EQ(ReadInteger(text), std::nullopt) << text;
  }
}

TEST(ReadNumber, TakesFiniteDecimals) {
  EXPECT_EQ(ReadNumber("5.0e-4"), 5e-4);
  EXPECT_EQ(ReadNumber("-.5"), -0.5);
  EXPECT_EQ(ReadNumber("+3."), 3.0);
  EXPECT_EQ(ReadNumber("0.1"), 0.1);
  for (const char* text : {"", ".", "1e", "1e999", "-1e999", ".inf", "nan", "00.5", "1,5", "0x1p3", "1 "}) {
    EXPECT_EQ(ReadNumber(text), std::nullopt) << text;
  }
}

TEST(NumberText, ReadsBackAsTheSame) {
  EXPECT_EQ(NumberText(16), "16");
  EXPECT_EQ(NumberText(1e6), "1000000");
  EXPECT_EQ(NumberText(0.1), "0.1");
  for (const double value : {0.1, 1.0 / 3, 5e-324, 1.7976931348623157e308, 1e15, 1e-8, -2.5}) {
    EXPECT_EQ(ReadNumber(NumberText(value)), value);
  }
}

TEST(Shortened, CutsBetweenCharacters) {
  EXPECT_EQ(Shortened("a\n\"b\""), "a\\x0a\\\"b\\\"");
  EXPECT_EQ(Shortened(std::string(60, 'x')), std::string(60, 'x'));
  EXPECT_EQ(Shortened(std::string(59, 'x') + "\u00fcber"), std::string(59, 'x') + "...");
}

}  // namespace
}  // namespace splitft::spec
