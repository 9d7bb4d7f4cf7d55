#include <gtest/gtest.h>

#include "tests/unit/libs/spec/manifest.h"

namespace splitft::spec {
namespace {

// What a model of `block_count` blocks says of the manifest.
std::string ErrorOn(int block_count, const std::string& split, const std::string& second_client = "") {
  const absl::StatusOr<FineTuneJob> job =
      Parse(Manifest({{"split", split},
                      {"clients", "[{name: a, data: {path: a}}, {name: b, data: {path: b}" + second_client + "}]"}}));
  if (!job.ok()) {
    return "the manifest itself: " + std::string(job.status().message());
  }
  const absl::Status status = ValidateAgainstModel(*job, block_count);
  return status.ok() ? "OK" : std::string(status.message());
}

TEST(ValidateAgainstModel, TakesCutsUpToTheLastBlock) {
  EXPECT_EQ(ErrorOn(12, "{cutLayer: 1}"), "OK");
  EXPECT_EQ(ErrorOn(12, "{cutLayer: 12, maxCutLayer: 12}"), "OK") << "a server without blocks is allowed";
  EXPECT_EQ(ErrorOn(12, "{cutLayer: 10, tailBlocks: 2}"), "OK");
}

TEST(ValidateAgainstModel, RefusesCutsAboveTheModel) {
  EXPECT_EQ(ErrorOn(12, "{cutLayer: 13}"), "spec.split.cutLayer: 13 is above the model's 12 blocks");
  EXPECT_EQ(ErrorOn(12, "{}", ", cutLayer: 99"), "spec.clients[1].cutLayer: 99 is above the model's 12 blocks");
  EXPECT_EQ(ErrorOn(1, "{cutLayer: 2}"), "spec.split.cutLayer: 2 is above the model's 1 block");
  EXPECT_EQ(ErrorOn(12, "{maxCutLayer: 13}"), "spec.split.maxCutLayer: 13 is above the model's 12 blocks");
}

TEST(ValidateAgainstModel, CountsTheTailsBlocks) {
  EXPECT_EQ(
      ErrorOn(12, "{cutLayer: 2, minCutLayer: 2, tailBlocks: 3}", ", cutLayer: 10"),
      "spec.clients[1].cutLayer: 10 and spec.split.tailBlocks 3 are together above the model's 12 blocks; expected a "
      "cut from 2 to 9");
  EXPECT_EQ(ErrorOn(12, "{tailBlocks: 12}"),
            "spec.split.tailBlocks: 12 leaves no block for the cut of the model's 12 blocks; expected at most 11");
}

TEST(ValidateAgainstModel, NamesEveryProblemAtOnce) {
  EXPECT_EQ(ErrorOn(4, "{cutLayer: 5, maxCutLayer: 9}", ", cutLayer: 6"),
            "spec.split.maxCutLayer: 9 is above the model's 4 blocks\n"
            "spec.clients[1].cutLayer: 6 is above the model's 4 blocks\n"
            "spec.split.cutLayer: 5 is above the model's 4 blocks");
}

TEST(ValidateAgainstModel, IgnoresACutThatNoClientHas) {
  FineTuneJob job = *Parse(Manifest({{"split", "{cutLayer: 9}"}}));
  for (Client& client : job.clients) {
    client.cut_layer = 3;
  }
  EXPECT_TRUE(ValidateAgainstModel(job, 4).ok());
}

}  // namespace
}  // namespace splitft::spec
