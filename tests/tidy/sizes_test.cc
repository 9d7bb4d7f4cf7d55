#include "tests/tidy/rules/sizes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace splitft::tidy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    absl::StrAppend(&text, "int a", i, ";\n");
  }
  return text;
}

std::string Function(int lines) { return absl::StrCat("void Long() {\n", Lines(lines - 2), "}\n"); }

std::string Check(std::string_view text, const Ratchet& ratchet = {}) {
  return Format(CheckSizes({ParseSource("libs/a.cc", text)}, ratchet));
}

std::vector<std::string> Measured(std::string_view text) {
  std::vector<std::string> found;
  for (const Measure& function : MeasureFunctions(ParseSource("a", text))) {
    found.push_back(absl::StrCat(function.name, "@", function.line, "+", function.lines));
  }
  return found;
}

TEST(FileSize, IsLimited) {
  EXPECT_THAT(Check(Lines(kSoftFileLines)), IsEmpty());
  EXPECT_EQ(Check(Lines(kSoftFileLines + 1)), "libs/a.cc:0: libs/a.cc has 401 lines; at most 400 are allowed\n");
}

TEST(FileSize, MayBeRatchetedButNotOverTheHardLimit) {
  EXPECT_THAT(Check(Lines(500), {{"libs/a.cc", 500}}), IsEmpty());
  EXPECT_THAT(Check(Lines(601), {{"libs/a.cc", 601}}), HasSubstr("no file may have more than 600"));
}

TEST(FunctionSize, IsLimited) {
  EXPECT_THAT(Check(Function(kFunctionLines)), IsEmpty());
  EXPECT_EQ(Check(Function(kFunctionLines + 1)), "libs/a.cc:1: libs/a.cc:Long has 71 lines; at most 70 are allowed\n");
}

TEST(Ratchet, OnlyTurnsDown) {
  EXPECT_THAT(Check(Function(90), {{"libs/a.cc:Long", 90}}), IsEmpty());
  EXPECT_THAT(Check(Function(91), {{"libs/a.cc:Long", 90}}), HasSubstr("it had 90 and may only shrink"));
  EXPECT_THAT(Check(Function(75), {{"libs/a.cc:Long", 96}}), HasSubstr("lower its entry"));
  EXPECT_THAT(Check(Function(60), {{"libs/a.cc:Long", 90}}), HasSubstr("\"libs/a.cc:Long\" is not needed any more"));
}

TEST(Ratchet, IsParsed) {
  const auto ratchet = ParseRatchet("# comment\n\n80 libs/a.cc:TEST(A, B)\n");
  ASSERT_TRUE(ratchet.ok()) << ratchet.status();
  EXPECT_THAT(*ratchet, ElementsAre(std::pair<const std::string, int>("libs/a.cc:TEST(A, B)", 80)));
}

TEST(Ratchet, RefusesNonsense) {
  EXPECT_FALSE(ParseRatchet("libs/a.cc 80\n").ok());
  EXPECT_FALSE(ParseRatchet("80\n").ok());
  EXPECT_FALSE(ParseRatchet("80 a\n81 a\n").ok());
}

TEST(FunctionFinder, SeesFreeFunctionsMembersAndTests) {
  EXPECT_THAT(Measured("namespace a {\n"
                       "template <typename T>\n"
                       "absl::Status b::Run(T x,\n"
                       "                    int y) const {\n"
                       "  if (x) { y(); }\n"
                       "}\n"
                       "class C : public D {\n"
                       " public:\n"
                       "  int e() const { return 1; }\n"
                       "};\n"
                       "TEST(Foo, Bars) {\n"
                       "  auto f = [&](int i) { return i; };\n"
                       "}\n"
                       "}  // namespace a\n"),
              ElementsAre("a:b::Run@2+5", "a:e@9+1", "a:TEST(Foo, Bars)@11+3"));
}

TEST(FunctionFinder, IgnoresBracesThatAreNotCode) {
  EXPECT_THAT(Measured("// void f() {\n"
                       "#define M(x) { \\\n"
                       "  x {\n"
                       "const char* kA = \"g() {\";\n"
                       "const char kB = '{';\n"
                       "const char* kC = R\"(h() {\n"
                       ")\";\n"
                       "int kD[] = {1'000, 2};\n"
                       "void i() {}\n"),
              ElementsAre("a:i@9+1"));
}

}  // namespace
}  // namespace splitft::tidy
