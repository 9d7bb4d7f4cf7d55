#include "api/crd/schema_words.h"

#include <gtest/gtest.h>

namespace splitft::crd {
namespace {

TEST(TypeWords, NamesTypesAsKubernetesDoes) {
  EXPECT_EQ(TypeWords(Integer("", 0, 1)), "integer");
  EXPECT_EQ(TypeWords(Time("")), "time");
  EXPECT_EQ(TypeWords(Quantity("")), "quantity");
  EXPECT_EQ(TypeWords(List("", Object("", {}), 1)), "[]object");
  EXPECT_EQ(TypeWords(Map("", List("", Text("", 1), 1), 1)), "map[string][]string");
}

TEST(LimitWords, SayWhichNumbersThereAre) {
  EXPECT_EQ(LimitWords(Integer("", 1, 4096), ""), "1 to 4096");
  EXPECT_EQ(LimitWords(Integer("", 0, kGreatestExactInteger), ""), "at least 0");
  const Json open = {
      {"type", "number"}, {"minimum", 0}, {"exclusiveMinimum", true}, {"maximum", 1}, {"exclusiveMaximum", true}};
  EXPECT_EQ(LimitWords(open, ""), "above 0, below 1");
}

TEST(LimitWords, SayWhichStringsThereAre) {
  EXPECT_EQ(LimitWords(Text("", 63), ""), "at most 63 characters");
  EXPECT_EQ(LimitWords(Text("", 64, "[0-9a-f]{64}"), ""), "`^[0-9a-f]{64}$`");
  EXPECT_EQ(LimitWords(Text("", 63), "a name"), "a name; at most 63 characters");
  EXPECT_EQ(LimitWords(Text("", 63), "a name, at most 63 long"), "a name, at most 63 long");
  EXPECT_EQ(LimitWords(Word("", {"a", "b"}), ""), "`a`, `b`");
}

TEST(LimitWords, SayHowManyEntriesThereAreAndWhich) {
  EXPECT_EQ(LimitWords(Set("", Integer("", 1, 255), 9), ""), "at most 9 entries, no two alike; each 1 to 255");
  EXPECT_EQ(LimitWords(ListBy("name", "", Object("", {}), 2), ""), "at most 2 entries, no two of the same `name`");
  EXPECT_EQ(LimitWords(ListBy("name", "", Object("", {}), 1), ""), "at most 1 entry");
  EXPECT_EQ(LimitWords(Map("", Integer("", 1, 9), 3), "a word"),
            "at most 3 entries; each key a word; each value 1 to 9");
}

TEST(DefaultWords, AreYaml) {
  Json schema = Object("", {});
  EXPECT_EQ(DefaultWords(schema), "");
  schema["default"] = Json::object();
  EXPECT_EQ(DefaultWords(schema), "`{}`");
  schema["default"] = 2e-4;
  EXPECT_EQ(DefaultWords(schema), "`2.0e-04`");
}

}  // namespace
}  // namespace splitft::crd
