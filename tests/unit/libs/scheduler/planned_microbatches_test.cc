#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#include "libs/scheduler/planner.h"
#include "tests/support/modelled_job.h"

namespace splitft::scheduler {
namespace {

using enum spec::SchedulingPolicy;

ModelledJob DividedJob(spec::SchedulingPolicy policy, int sequences = 8) {
  ModelledJob job(policy, {0.02, 0.04, 0.08});
  for (spec::Client& client : job.job.clients) {
    client.batch_size = sequences;
  }
  return job;
}

TEST(PlannedMicrobatches, DividesBatchesAsFarAsTheStepGainsFromIt) {
  ModelledJob job = DividedJob(kMakespan);
  ModelledJob undivided(kMakespan, {0.02, 0.04, 0.08});
  Planner planner(job.job, kShape);
  Planner other(undivided.job, kShape);
  const std::vector<Plan> plans = job.Run(planner, 10);
  undivided.Run(other, 10);
  ASSERT_EQ(plans.size(), 1U);
  EXPECT_GE(plans[0].microbatches, 4);
  EXPECT_THAT(plans[0].reason, testing::HasSubstr(": microbatches 1 -> "));
  EXPECT_LT(job.seconds(), 0.8 * undivided.seconds());
  EXPECT_NEAR(plans[0].seconds_then, job.seconds(), 0.01 * job.seconds());
  EXPECT_TRUE(job.Run(planner, 200, 0.1).empty()) << "and is content";
}

// What became of a job each of whose parts has costs of its own, whatever the model says.
struct Course {
  int raised = 0;  // plans with more microbatches
  int steps_divided = 0;
};
Course RunWithCostlyParts(ModelledJob& job, double seconds_per_part) {
  Planner planner(job.job, kShape);
  Course course;
  for (int i = 0; i < 500; ++i) {
    StepFigures figures = job.Step();
    const double extra = seconds_per_part * (figures.microbatches - 1);
    figures.seconds += extra;
    figures.server_wait_seconds += extra;
    course.steps_divided += figures.microbatches > 1 ? 1 : 0;
    planner.Observe(figures);
    if (const std::optional<Plan> plan = planner.Decide()) {
      course.raised += plan->microbatches > job.arrangement.microbatches ? 1 : 0;
      job.Follow(*plan);
    }
  }
  return course;
}

TEST(PlannedMicrobatches, AreTakenBackWhereTheyDoNotPay) {
  ModelledJob job = DividedJob(kMakespan);
  const Course course = RunWithCostlyParts(job, 0.3);
  EXPECT_GE(course.raised, 1) << "it is tried";
  EXPECT_LE(course.raised, 4);
  EXPECT_LT(course.steps_divided, 75);
}

TEST(PlannedMicrobatches, ByBudgetDividesNoFurtherThanTheTimeAsksFor) {
  ModelledJob job = DividedJob(kBudget);
  job.job.scheduling.step_seconds = 3 * job.seconds();
  Planner planner(job.job, kShape);
  job.Run(planner, 20);
  EXPECT_EQ(job.arrangement.microbatches, 1);
  EXPECT_LE(job.seconds(), job.job.scheduling.step_seconds * 1.01);
}

TEST(PlannedMicrobatches, BySplitFtLeavesMicrobatchesAlone) {
  ModelledJob job = DividedJob(kSplitFt);
  Planner planner(job.job, kShape);
  job.Run(planner, 40);
  EXPECT_EQ(job.arrangement.microbatches, 1);
}

// The bank's cut goes up in vain, as under a quota, in the plan that also divides batches: these are not to blame.
TEST(PlannedMicrobatches, AreNotBlamedForACut) {
  ModelledJob job = DividedJob(kMakespan);
  Planner planner(job.job, kShape);
  int undivided = 0;
  for (int i = 0; i < 150; ++i) {
    const bool bursts = job.choices()[0].cut_layer <= 4;
    job.truth.clients[0].forward_seconds = bursts ? 0.005 : 0.4;
    job.truth.clients[0].backward_seconds = bursts ? 0.01 : 0.8;
    job.Run(planner, 1, 0.02);
    undivided += i >= 60 && job.arrangement.microbatches == 1 ? 1 : 0;
  }
  EXPECT_EQ(undivided, 0);
  EXPECT_LE(job.choices()[0].cut_layer, 4);
}

// The limit is just missed; each part has costs of its own, so that more of them are no way to keep it.
TEST(PlannedMicrobatches, ByBudgetAreTakenBackToo) {
  ModelledJob job = DividedJob(kBudget);
  for (ClientCost& client : job.truth.clients) {
    client.highest_cut = 4;
  }
  job.job.split.min_cut_layer = job.job.split.max_cut_layer = 4;
  job.job.scheduling.step_seconds = 0.85 * job.seconds();
  const Course course = RunWithCostlyParts(job, 0.6);
  EXPECT_GE(course.raised, 1) << "it is tried";
  EXPECT_LT(course.steps_divided, 75);
}

TEST(PlannedMicrobatches, DivideABatchEvenly) {
  for (const int sequences : {5, 6, 7, 12}) {
    ModelledJob job = DividedJob(kMakespan, sequences);
    Planner planner(job.job, kShape);
    job.Run(planner, 50);
    EXPECT_GT(job.arrangement.microbatches, 1) << sequences;
    EXPECT_EQ(sequences % job.arrangement.microbatches, 0) << sequences;
  }
}

TEST(PlannedMicrobatches, AreNotToBeTrustedAboveTheBatch) {
  ModelledJob job = DividedJob(kMakespan);
  Planner planner(job.job, kShape);
  job.Run(planner, 3);
  StepFigures figures = job.Step();
  figures.microbatches = 9;
  planner.Observe(figures);
  EXPECT_EQ(planner.unknown(), "step 4: microbatches is 9; the smallest batch has 8");
}

}  // namespace
}  // namespace splitft::scheduler
