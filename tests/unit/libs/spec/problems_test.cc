#include "libs/spec/problems.h"

#include <gtest/gtest.h>

namespace splitft::spec {
namespace {

TEST(Problems, TouchesWhatIsInsideAndAroundAProblem) {
  Problems problems;
  problems.Add("spec.training.steps", "wrong");
  problems.Add("spec.clients[1]", "wrong");
  EXPECT_TRUE(problems.Touches("spec.training.steps"));
  EXPECT_TRUE(problems.Touches("spec.training"));
  EXPECT_TRUE(problems.Touches("spec.clients[1].cutLayer"));
  EXPECT_FALSE(problems.Touches("spec.training.step"));
  EXPECT_FALSE(problems.Touches("spec.training.stepsX"));
  EXPECT_FALSE(problems.Touches("spec.clients[10].cutLayer"));
}

TEST(Problems, TouchAddsNoLine) {
  Problems problems;
  problems.Touch("spec.lora");
  EXPECT_TRUE(problems.empty());
  EXPECT_TRUE(problems.ToStatus().ok());
  EXPECT_TRUE(problems.Touches("spec.lora.rank"));
}

}  // namespace
}  // namespace splitft::spec
