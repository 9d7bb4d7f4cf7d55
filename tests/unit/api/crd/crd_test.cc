#include "api/crd/crd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "api/crd/reference.h"
#include "libs/base/file.h"

namespace splitft::crd {
namespace {

struct CommittedFile {
  const char* path;
  std::string (*make)();
};

constexpr CommittedFile kFiles[] = {
    {"api/crd/finetunejobs.yaml", FineTuneJobYaml},
    {"charts/splitft/files/finetunejobs.yaml", FineTuneJobYaml},  // Helm looks at nothing outside a chart
    {"docs/api.md", FineTuneJobReference},
};

class CommittedFiles : public ::testing::TestWithParam<CommittedFile> {};

TEST_P(CommittedFiles, AreWhatTheDefinitionMakes) {
  const std::string path = std::string(SPLITFT_SOURCE_DIR "/") + GetParam().path;
  const std::string made = GetParam().make();
  if (std::getenv("SPLITFT_WRITE_CRD") != nullptr) {
    ASSERT_TRUE(WriteFileAtomically(path, made).ok());
  }
  const absl::StatusOr<std::string> committed = ReadFile(path, 1 << 20);
  ASSERT_TRUE(committed.ok()) << committed.status();
  EXPECT_TRUE(*committed == made) << path << " is not what api/crd makes. To write it anew:\n"
                                  << "  SPLITFT_WRITE_CRD=1 build/bin/unit_crd\n";
}

INSTANTIATE_TEST_SUITE_P(All, CommittedFiles, ::testing::ValuesIn(kFiles));

}  // namespace
}  // namespace splitft::crd
