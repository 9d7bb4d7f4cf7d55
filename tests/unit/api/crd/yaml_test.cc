#include "api/crd/yaml.h"

#include <gtest/gtest.h>

namespace splitft::crd {
namespace {

TEST(FormatYaml, WritesBlocksInOrder) {
  const Json value =
      Json::parse(R"({"z": {"a": 1, "list": [{"x": 1, "w": {"deep": true}}, {"x": 2}, "s"]}, "b": null})");
  EXPECT_EQ(FormatYaml(value),
            "z:\n"
            "  a: 1\n"
            "  list:\n"
            "    - x: 1\n"
            "      w:\n"
            "        deep: true\n"
            "    - x: 2\n"
            "    - s\n"
            "b: null\n");
}

TEST(FormatYaml, WritesInOneLineWhatFits) {
  EXPECT_EQ(FormatYaml(Json::parse(R"({"a": {}, "b": [], "c": [1, "x y", 0.5], "d": [[1], [2]]})")),
            "a: {}\n"
            "b: []\n"
            "c: [1, \"x y\", 0.5]\n"
            "d:\n"
            "  - [1]\n"
            "  - [2]\n");
  EXPECT_EQ(FormatYaml(Json("x")), "x\n");
}

TEST(FormatYaml, QuotesWhatYamlWouldReadOtherwise) {
  EXPECT_EQ(FormatYaml(Json::parse(R"({"a": "true", "b": "1", "c": "^a\\x00$", "d": ": #", "e f": ""})")),
            "a: \"true\"\n"
            "b: \"1\"\n"
            "c: \"^a\\\\x00$\"\n"
            "d: \": #\"\n"
            "\"e f\": \"\"\n");
}

TEST(FormatYaml, WritesNumbersAsTheyAre) {
  EXPECT_EQ(FormatYaml(Json::parse(R"({"a": 16.0, "b": 9007199254740992, "c": 0.0002})")),
            "a: 16\nb: 9007199254740992\nc: 2.0e-04\n");
}

}  // namespace
}  // namespace splitft::crd
