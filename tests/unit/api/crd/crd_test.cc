#include "api/crd/crd.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "libs/base/file.h"

namespace splitft::crd {
namespace {

constexpr char kFile[] = SPLITFT_SOURCE_DIR "/api/crd/finetunejobs.yaml";

TEST(FineTuneJobYaml, IsTheCommittedFile) {
  const std::string made = FineTuneJobYaml();
  if (std::getenv("SPLITFT_WRITE_CRD") != nullptr) {
    ASSERT_TRUE(WriteFileAtomically(kFile, made).ok());
  }
  const absl::StatusOr<std::string> committed = ReadFile(kFile, 1 << 20);
  ASSERT_TRUE(committed.ok()) << committed.status();
  EXPECT_TRUE(*committed == made) << kFile << " is not what api/crd makes. To write it anew:\n"
                                  << "  SPLITFT_WRITE_CRD=1 build/bin/unit_crd\n";
}

}  // namespace
}  // namespace splitft::crd
