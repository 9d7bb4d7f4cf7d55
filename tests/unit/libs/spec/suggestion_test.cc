#include "libs/spec/suggestion.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace splitft::spec {
namespace {

TEST(EditDistance, CountsEdits) {
  EXPECT_EQ(EditDistance("rank", "rank"), 0);
  EXPECT_EQ(EditDistance("", "rank"), 4);
  EXPECT_EQ(EditDistance("rank", ""), 4);
  EXPECT_EQ(EditDistance("rnk", "rank"), 1) << "left out";
  EXPECT_EQ(EditDistance("raank", "rank"), 1) << "too many";
  EXPECT_EQ(EditDistance("renk", "rank"), 1) << "another";
  EXPECT_EQ(EditDistance("rnak", "rank"), 1) << "swapped";
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
  EXPECT_EQ(EditDistance("max_grad_norm", "maxGradNorm"), 0) << "only the style differs";
}

TEST(Nearest, SuggestsWhatIsNear) {
  constexpr std::array<std::string_view, 4> kKnown = {"steps", "epochs", "seed", "batchSize"};
  EXPECT_EQ(Nearest("stpes", kKnown), "steps");
  EXPECT_EQ(Nearest("step", kKnown), "steps");
  EXPECT_EQ(Nearest("bach_size", kKnown), "batchSize");
  EXPECT_EQ(Nearest("sed", kKnown), "seed");
  EXPECT_EQ(Nearest("momentum", kKnown), "");
  EXPECT_EQ(Nearest("", kKnown), "");
  EXPECT_EQ(Nearest(std::string(100'000, 's'), kKnown), "");
  EXPECT_EQ(Nearest("steps", {}), "");
}

}  // namespace
}  // namespace splitft::spec
