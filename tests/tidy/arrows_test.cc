#include "tests/tidy/rules/arrows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace splitft::tidy {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Check(std::string path, std::string_view text) {
  return Format(CheckIncludes(ParseSource(std::move(path), text)));
}

TEST(Arrows, AllowALibraryWhatItMayInclude) {
  EXPECT_THAT(
      Check("libs/train/a.cc", "#include \"libs/train/a.h\"\n#include \"libs/model/model.h\"\n#include <vector>\n"),
      IsEmpty());
}

TEST(Arrows, RefuseAnUpwardInclude) {
  EXPECT_EQ(Check("libs/text/a.cc", "\n#include \"libs/train/step.h\"\n"),
            "libs/text/a.cc:2: includes \"libs/train/step.h\", but libs/text may include only libs/base, libs/spec\n");
}

TEST(Arrows, RefuseAProgramsFolder) {
  EXPECT_THAT(Check("cli/run.cc", "#include \"worker/worker.h\"\n"), HasSubstr("cli may include only libs, api"));
  EXPECT_THAT(Check("worker/a.cc", "#include \"libs/kube/client.h\"\n"), HasSubstr("worker may include only"));
}

TEST(Arrows, RefuseTestsInProduction) {
  EXPECT_THAT(Check("libs/base/a.cc", "#include \"tests/support/sim_clock.h\"\n"),
              HasSubstr("libs/base may include only itself"));
}

TEST(Arrows, HoldPureFoldersToValues) {
  EXPECT_THAT(Check("operator/decide/a.cc", "#include \"libs/kube/request.h\"\n"), HasSubstr("operator/decide may"));
  EXPECT_THAT(Check("operator/apply.cc", "#include \"libs/kube/request.h\"\n"), IsEmpty());
}

TEST(Arrows, DoNotMistakeALongerNameForTheFolder) {
  EXPECT_THAT(Check("libs/textual/a.cc", ""), HasSubstr("lies in a folder"));
}

TEST(Arrows, KeepOutsideHeadersToTheirOwner) {
  EXPECT_THAT(Check("libs/spec/parse.cc", "#include <yaml-cpp/yaml.h>\n"), IsEmpty());
  EXPECT_THAT(Check("cli/a.cc", "#include <yaml-cpp/yaml.h>\n"), HasSubstr("only libs/spec and libs/kube may"));
  EXPECT_THAT(Check("libs/base/a.cc", "#include <random>\n"), HasSubstr("counter-based"));
  EXPECT_THAT(Check("tests/unit/a_test.cc", "#include <torch/torch.h>\n"), HasSubstr("ATen/core/Tensor.h"));
}

TEST(Arrows, IgnoreIncludesInComments) {
  EXPECT_THAT(Check("libs/base/a.cc", "// #include \"libs/train/step.h\"\n"), IsEmpty());
}

}  // namespace
}  // namespace splitft::tidy
