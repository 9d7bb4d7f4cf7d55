#include "libs/spec/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace splitft::spec {
namespace {

constexpr size_t kLimitBytes = 10'000;

std::string ErrorOf(std::string_view yaml) {
  Problems problems;
  ParseDocument(yaml, kLimitBytes, problems);
  return problems.empty() ? "OK" : std::string(problems.ToStatus().message());
}

TEST(ParseDocument, KeepsWhatWasWritten) {
  Problems problems;
  const Node root = ParseDocument("a: 1\nb: [x, \"2\", 'no']\nc:\n  d: |\n    text\ne: ~\n", kLimitBytes, problems);
  ASSERT_TRUE(problems.empty()) << problems.ToStatus();
  ASSERT_EQ(root.kind, Node::Kind::kMapping);
  EXPECT_THAT(root.keys, ::testing::ElementsAre("a", "b", "c", "e"));
  EXPECT_EQ(root.Find("a")->text, "1");
  EXPECT_TRUE(root.Find("a")->plain);
  EXPECT_EQ(root.Find("b")->line, 2);
  ASSERT_EQ(root.Find("b")->items.size(), 3U);
  EXPECT_TRUE(root.Find("b")->items[0].plain);
  EXPECT_FALSE(root.Find("b")->items[1].plain);
  EXPECT_FALSE(root.Find("b")->items[2].plain);
  EXPECT_EQ(root.Find("c")->Find("d")->text, "text\n");
  EXPECT_FALSE(root.Find("c")->Find("d")->plain);
  EXPECT_EQ(root.Find("e")->kind, Node::Kind::kNull);
  EXPECT_EQ(root.Find("f"), nullptr);
}

TEST(ParseDocument, TakesWindowsLinesAndAByteOrderMark) {
  Problems problems;
  const Node root = ParseDocument(
      "\xEF\xBB\xBF"
      "a: 1\r\nb: 2\r\n",
      kLimitBytes, problems);
  ASSERT_TRUE(problems.empty()) << problems.ToStatus();
  EXPECT_EQ(root.Find("a")->text, "1");
  EXPECT_EQ(root.Find("b")->text, "2");
}

TEST(ParseDocument, TakesMarksAtBothEnds) {
  for (const char* yaml :
       {"---\na: |\n  b\n...\n", "--- # start\na: |\n  b\n...", "%YAML 1.2\n---\na: |\n  b\n# end"}) {
    Problems problems;
    const Node root = ParseDocument(yaml, kLimitBytes, problems);
    ASSERT_TRUE(problems.empty()) << yaml << problems.ToStatus();
    EXPECT_EQ(root.Find("a")->text, "b\n") << yaml;
  }
}

struct BadDocument {
  const char* yaml;
  const char* message;
};

void PrintTo(const BadDocument& bad, std::ostream* out) { *out << bad.yaml; }

class BadDocuments : public ::testing::TestWithParam<BadDocument> {};

TEST_P(BadDocuments, AreRefusedWithTheirLine) { EXPECT_EQ(ErrorOf(GetParam().yaml), GetParam().message); }

INSTANTIATE_TEST_SUITE_P(
    All, BadDocuments,
    ::testing::Values(
        BadDocument{"a: 1\nb: &x 2\n", "line 2: an anchor (&); write the value out where it is used"},
        BadDocument{"a: &x\n  b: 1\n", "line 1: an anchor (&); write the value out where it is used"},
        BadDocument{"a: &x [1]\nb: *x\n",
                    "line 1: an anchor (&); write the value out where it is used\n"
                    "line 2: an alias (*); write the value out"},
        BadDocument{"a: &x\n", "line 1: an anchor (&); write the value out where it is used"},
        BadDocument{"a: !!str 1\n", "line 1: the tag tag:yaml.org,2002:str; tags are not allowed"},
        BadDocument{"a: !include b.yaml\n", "line 1: the tag !include; tags are not allowed"},
        BadDocument{"a: !!map {b: 1}\n", "line 1: the tag tag:yaml.org,2002:map; tags are not allowed"},
        BadDocument{"a: !!seq []\n", "line 1: the tag tag:yaml.org,2002:seq; tags are not allowed"},
        BadDocument{"a: !!null\n", "line 1: the tag tag:yaml.org,2002:null; tags are not allowed"},
        BadDocument{"a:\n  <<: {b: 1}\n", "line 2: a merge key (<<); write the fields out"},
        BadDocument{"a: 1\nb: 2\na: 3\n", "line 3: the key a for the second time; the first is on line 1"},
        BadDocument{"a: 1\n\"a\": 3\n", "line 2: the key a for the second time; the first is on line 1"},
        BadDocument{"a: {b: 1, c: 2, b: 3}\n", "line 1: the key b for the second time; the first is on line 1"},
        BadDocument{"[a]: 1\n", "line 1: a key that is not a string"},
        BadDocument{"{a: 1}: 1\n", "line 1: a key that is not a string"},
        BadDocument{"~: 1\n", "line 1: a key that is not a string"},
        BadDocument{"a: 1\n---\nb: 2\n", "line 2: more after the end of the document; a manifest is one document"},
        BadDocument{"a: 1\nb: \xff\n", "line 2: the byte 0xff is not UTF-8"},
        BadDocument{"\n\na: \xc3", "line 3: the byte 0xc3 is not UTF-8"},
        BadDocument{"a: \xc0\x80", "line 1: the byte 0xc0 is not UTF-8"},
        BadDocument{"a: \xed\xa0\x80", "line 1: the byte 0xed is not UTF-8"},
        BadDocument{"a: \xf4\x90\x80\x80", "line 1: the byte 0xf4 is not UTF-8"},
        BadDocument{"a: 1\nb: \x01\n", "line 2: the control character 0x01"},
        BadDocument{"a: \x7f", "line 1: the control character 0x7f"},
        BadDocument{"a: [1, 2\n", "line 1: not YAML: end of sequence flow not found"},
        BadDocument{"a: \"x\n", "line 1: a quote that is not closed"},
        BadDocument{"a: 'x", "line 1: a quote that is not closed"},
        BadDocument{"a: b: c\n", "line 1: not YAML: illegal map value"},
        BadDocument{"a: 1\n b: 2\n", "line 2: not YAML: illegal map value"}));

TEST(ParseDocument, RefusesNullBytes) {
  EXPECT_EQ(ErrorOf(std::string_view("a: 1\0", 5)), "line 1: the control character 0x00");
}

TEST(ParseDocument, NestsToTheLimitAndNoDeeper) {
  const auto nested = [](int depth) {
    return std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']');
  };
  EXPECT_EQ(ErrorOf(nested(32)), "OK");
  EXPECT_EQ(ErrorOf(nested(33)), "line 1: nested more than 32 deep");
  EXPECT_EQ(ErrorOf(nested(4'000)), "line 1: nested more than 32 deep");
}

TEST(ParseDocument, ReadsToTheLimitAndNoFurther) {
  EXPECT_EQ(ErrorOf("a: " + std::string(kLimitBytes - 3, 'x')), "OK");
  EXPECT_EQ(ErrorOf("a: " + std::string(kLimitBytes - 2, 'x')),
            "the manifest is 10001 bytes long; at most 10000 are allowed");
}

}  // namespace
}  // namespace splitft::spec
