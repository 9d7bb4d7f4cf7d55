#include "api/crd/object_tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace splitft::crd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

Json Rule(const char* condition) { return Json::array({{{"rule", condition}, {"message", "must hold"}}}); }

TEST(ObjectSections, AreOnePerObject) {
  const Json leaf = Object("", {{"x", Boolean("")}});
  const Json schema = Object("", {{"metadata", leaf}, {"a", Object("", {{"list", List("", leaf, 2)}})}, {"b", leaf}});
  std::vector<std::string> paths;
  for (const ObjectSection& section : ObjectSections("", "", schema)) {
    paths.push_back(section.path);
  }
  EXPECT_THAT(paths, ElementsAre("", "a", "a.list[]", "b"));
}

TEST(FormatSection, HasAColumnForWhatIsThere) {
  const std::vector<ObjectSection> all =
      ObjectSections("top", "All of it.", Object("", {{"size", Integer("How much.", 0, 9)}}));
  EXPECT_EQ(FormatSection(all.front(), all),
            "\n### `top`\n\nAll of it.\n\n"
            "| field | type | limits | description |\n"
            "| --- | --- | --- | --- |\n"
            "| `size` | `integer` | 0 to 9 | How much. |\n");
}

TEST(FormatSection, LinksToObjects) {
  const Json schema = Object("", {{"parts", List("", Object("", {{"x", Boolean("")}}), 2)}}, {"parts"});
  const std::vector<ObjectSection> all = ObjectSections("top", "", schema);
  EXPECT_THAT(FormatSection(all.front(), all), HasSubstr("| `parts` | [`[]object`](#topparts) | required |"));
}

TEST(FormatSection, HasTheRulesOfTheObjectAndWhatMayNotChangeInIt) {
  Json schema = Object("", {{"a", Boolean("")}, {"b", Object("", {{"x", Boolean("")}})}});
  schema["x-kubernetes-validations"] = Rule("self.a || true");
  schema["properties"]["a"]["x-kubernetes-validations"] = Rule("self == oldSelf");
  schema["properties"]["b"]["x-kubernetes-validations"] = Rule("self == oldSelf");
  schema["properties"]["b"]["x-kubernetes-validations"].push_back(Rule("self.x")[0]);
  const std::vector<ObjectSection> all = ObjectSections("top", "", schema);
  const std::string top = FormatSection(all[0], all);
  EXPECT_THAT(top, HasSubstr("| `top` | `self.a \\|\\| true` | must hold |\n"));
  EXPECT_THAT(top, HasSubstr("| `a`, `b` | `self == oldSelf` | must hold |\n"));
  EXPECT_THAT(top, Not(HasSubstr("self.x")));
  EXPECT_THAT(FormatSection(all[1], all), HasSubstr("| `b` | `self.x` | must hold |\n"));
  EXPECT_THAT(FormatSection(all[1], all), Not(HasSubstr("oldSelf")));
}

TEST(Anchor, IsAsGitHubMakesIt) { EXPECT_EQ(Anchor("What `spec.clients[]` is"), "what-specclients-is"); }

}  // namespace
}  // namespace splitft::crd
