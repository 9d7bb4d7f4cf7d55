// The rules, held against the whole tree. Each has tests of its own beside this file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/base/file.h"
#include "tests/tidy/rules/arrows.h"
#include "tests/tidy/rules/banned.h"
#include "tests/tidy/rules/sizes.h"
#include "tests/tidy/rules/source_file.h"

namespace splitft::tidy {
namespace {

const std::filesystem::path kRoot = SPLITFT_SOURCE_DIR;

class Tree : public ::testing::Test {
 protected:
  void SetUp() override {
    auto files = ReadTree(kRoot);
    ASSERT_TRUE(files.ok()) << files.status();
    files_ = *std::move(files);
    ASSERT_FALSE(files_.empty());
  }

  void Expect(std::vector<Violation> (*rule)(const SourceFile&)) const {
    std::string all;
    for (const SourceFile& file : files_) {
      all += Format(rule(file));
    }
    EXPECT_TRUE(all.empty()) << all;
  }

  std::vector<SourceFile> files_;
};

TEST_F(Tree, FollowsTheArrows) { Expect(CheckIncludes); }

TEST_F(Tree, MakesNoBannedCalls) { Expect(CheckBanned); }

TEST_F(Tree, NamesThings) { Expect(CheckNames); }

TEST_F(Tree, KeepsFilesAndFunctionsShort) {
  const auto text = ReadFile(kRoot / "tests/tidy/ratchet.txt", 1 << 20);
  ASSERT_TRUE(text.ok()) << text.status();
  const auto ratchet = ParseRatchet(*text);
  ASSERT_TRUE(ratchet.ok()) << ratchet.status();
  const std::string all = Format(CheckSizes(files_, *ratchet));
  EXPECT_TRUE(all.empty()) << all;
}

TEST(ReadTree, RefusesAFolderThatIsNotTheRoot) {
  EXPECT_EQ(ReadTree(kRoot / "libs").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace splitft::tidy
