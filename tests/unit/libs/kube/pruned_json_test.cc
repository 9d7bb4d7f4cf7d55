#include "libs/kube/pruned_json.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace splitft::kube {
namespace {

constexpr char kPage[] = R"({
  "kind": "PodList", "metadata": {"resourceVersion": "9", "managedFields": "gone"}, "spec": "of no pod",
  "items": [
    {"metadata": {"name": "a", "managedFields": [{"f": {"spec": [1, {}, []]}}, 2]}, "spec": {"x": [{}, {"y": {}}]}},
    {"spec": null, "metadata": {"name": "b", "labels": {"managedFields": "stays", "x": ""}}, "status": [1.5, -2, true]}
  ]
})";

TEST(ParsePruned, LeavesOutMembersByTheirNameAndThatOfTheirParent) {
  constexpr std::array<MemberName, 2> kUnread{{{"metadata", "managedFields"}, {"items", "spec"}}};
  EXPECT_EQ(ParsePruned(kPage, kUnread), Json::parse(R"({
    "kind": "PodList", "metadata": {"resourceVersion": "9"}, "spec": "of no pod",
    "items": [{"metadata": {"name": "a"}},
              {"metadata": {"name": "b", "labels": {"managedFields": "stays", "x": ""}}, "status": [1.5, -2, true]}]
  })"));
}

TEST(ParsePruned, TheOutermostMappingHasNoName) {
  constexpr std::array<MemberName, 1> kUnread{{{"", "spec"}}};
  EXPECT_EQ(ParsePruned(R"({"spec": {"spec": 1}, "a": {"spec": 2}})", kUnread), Json::parse(R"({"a": {"spec": 2}})"));
}

TEST(ParsePruned, WithNothingToLeaveOutItReadsAsTheParserDoes) {
  for (const char* text :
       {kPage, "null", "[]", "{}", "\"text\"", "17", "[[[]], {\"a\": [{}]}]", "{\"a\": 1, \"a\": [2]}",
        "18446744073709551615", "-1", "1e3", "\"\\u00e4\\ud83d\\ude00\""}) {
    EXPECT_EQ(ParsePruned(text, {}), Json::parse(text)) << text;
  }
}

TEST(ParsePruned, WhatIsNoJsonIsDiscarded) {
  for (const char* text : {"", "{", "{\"a\": }", "[1,]", "{} {}", "nonsense", "{\"spec\": {\"a\": }}", "\"\xff\""}) {
    constexpr std::array<MemberName, 1> kUnread{{{"", "spec"}}};
    EXPECT_TRUE(ParsePruned(text, kUnread).is_discarded()) << text;
  }
}

}  // namespace
}  // namespace splitft::kube
