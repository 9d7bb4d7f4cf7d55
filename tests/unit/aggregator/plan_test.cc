#include "aggregator/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "libs/spec/parse.h"

namespace splitft::aggregator {
namespace {

using testing::HasSubstr;

spec::FineTuneJob Job(const std::string& split) {
  return spec::ParseJob(
             "apiVersion: splitft.io/v1alpha1\nkind: FineTuneJob\nmetadata: {name: job}\nspec:\n"
             "  model: {source: {path: base}}\n  training: {steps: 1}\n  clients:\n"
             "    - {name: bank, data: {path: bank.txt}}\n    - {name: hospital, data: {path: hospital.txt}}\n"
             "  output: {path: out}\n  split: {cutLayer: 2, " +
                 split + "}\n",
             {.base_directory = "/", .overrides = {}})
      .value();
}

control::Plan PlanFor(const std::string& name, int cut_layer, const std::string& codec = "") {
  control::Plan plan;
  control::ClientPlan& wanted = *plan.add_clients();
  wanted.set_name(name);
  wanted.set_cut_layer(cut_layer);
  wanted.set_codec(codec);
  return plan;
}

std::string Why(const control::Plan& plan, const std::string& split = "") {
  return std::string(CheckPlan(plan, Job(split), 6).message());
}

TEST(CheckPlan, TakesWhatTheJobHas) {
  EXPECT_EQ(Why(PlanFor("bank", 1, "bf16")), "");
  EXPECT_EQ(Why(PlanFor("bank", 1, "int8")), "");
  EXPECT_EQ(Why(PlanFor("hospital", 6)), "");
  EXPECT_EQ(Why(PlanFor("hospital", 0)), "");
  EXPECT_EQ(Why(PlanFor("bank", 2), "trainClient: false"), "");
}

TEST(CheckPlan, NamesWhatIsWrong) {
  EXPECT_EQ(Why(PlanFor("mill", 1)), "plan: this job has no client \"mill\"");
  EXPECT_EQ(Why(PlanFor("bank", 7)), "plan bank: cut_layer is 7; expected 1 to 6, or 0 to leave it");
  EXPECT_THAT(Why(PlanFor("bank", -1)), HasSubstr("cut_layer is -1"));
  EXPECT_THAT(Why(PlanFor("bank", 1), "minCutLayer: 2"), HasSubstr("expected 2 to 6")) << "the privacy floor";
  EXPECT_THAT(Why(PlanFor("bank", 5), "maxCutLayer: 4"), HasSubstr("expected 1 to 4"));
  EXPECT_THAT(Why(PlanFor("bank", 6), "tailBlocks: 1"), HasSubstr("expected 1 to 5"));
  EXPECT_THAT(Why(PlanFor("bank", 3), "trainClient: false"), HasSubstr("the cut says what is trained"));
  EXPECT_EQ(Why(PlanFor("bank", 1, "zip")), "plan bank: codec is \"zip\"; expected fp32, bf16 or int8");
  control::Plan capped = PlanFor("bank", 1);
  capped.mutable_clients(0)->set_rank_cap(9);
  EXPECT_EQ(Why(capped), "plan bank: rank_cap is 9; expected 1 to 8, or 0 to leave it");
  control::Plan divided;
  divided.set_microbatches(5);
  EXPECT_EQ(Why(divided), "plan: microbatches is 5; expected 1 to 4, the smallest batch, or 0 to leave it");
  control::Plan twice = PlanFor("bank", 1);
  *twice.add_clients() = twice.clients(0);
  EXPECT_EQ(Why(twice), "plan: client bank is there twice");
}

TEST(RankCaps, AreOfBothSidesOfEveryCut) {
  spec::FineTuneJob job;
  job.lora.cut_layer_rank = 4;
  EXPECT_THAT(RankCaps(job, 6, std::vector{1, 3}, std::vector{0, 0}), testing::ElementsAre(4, 4, 4, 4, 0, 0));
  EXPECT_THAT(RankCaps(job, 6, std::vector{2, 6}, std::vector{0, 0}), testing::ElementsAre(0, 4, 4, 0, 0, 4));
}

TEST(RankCaps, OfAClientAreOfTheBlocksThatItRuns) {
  spec::FineTuneJob job;
  EXPECT_THAT(RankCaps(job, 4, std::vector{1, 3}, std::vector{2, 5}), testing::ElementsAre(2, 5, 5, 0));
  job.lora.cut_layer_rank = 3;
  EXPECT_THAT(RankCaps(job, 4, std::vector{1, 3}, std::vector{2, 5}), testing::ElementsAre(2, 3, 3, 3));
}

}  // namespace
}  // namespace splitft::aggregator
