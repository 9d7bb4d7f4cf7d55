#include "libs/scheduler/pilot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/training_event.h"

namespace splitft::scheduler {
namespace {

std::optional<control::Plan> FirstPlan(Pilot& pilot, int64_t from = 1) {
  for (int64_t step = from; step < from + 20; ++step) {
    if (std::optional<control::Plan> plan = pilot.OnEvent(TrainingEvent(step), "uid")) {
      return plan;
    }
  }
  return std::nullopt;
}

TEST(Pilot, PlansFromEventsAndSaysWhatItKnew) {
  const spec::FineTuneJob job = UnequalJob();
  Pilot pilot(job);
  const std::optional<control::Plan> plan = FirstPlan(pilot);
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->job_uid(), "uid");
  EXPECT_EQ(plan->number(), 1U);
  ASSERT_GE(plan->clients_size(), 1);
  EXPECT_EQ(plan->clients(plan->clients_size() - 1).name(), "bank");
  EXPECT_LT(plan->clients(plan->clients_size() - 1).cut_layer(), 4);
  EXPECT_EQ(plan->clients(0).codec(), "") << "is left as it is";
  EXPECT_GT(plan->microbatches(), 1);
  EXPECT_THAT(plan->reason(), testing::HasSubstr(": microbatches 1 -> "));
  ASSERT_EQ(plan->costs_size(), 2);
  EXPECT_NEAR(plan->costs(1).block_forward_seconds(), 0.2, 1e-9);
  EXPECT_LT(plan->seconds_then(), plan->seconds_now());
}

TEST(Pilot, TellsWhatCameOfAPlan) {
  const spec::FineTuneJob job = UnequalJob();
  Pilot pilot(job);
  const std::optional<control::Plan> plan = FirstPlan(pilot);
  ASSERT_TRUE(plan.has_value());
  EXPECT_TRUE(pilot.TakeNews().empty()) << "nobody has followed it yet";
  control::JobEvent event = TrainingEvent(20);
  event.mutable_plan()->set_number(plan->number());
  event.mutable_plan()->set_state(control::PlanState::APPLIED);
  event.mutable_plan()->set_step(7);
  pilot.OnEvent(event, "uid");
  const std::vector<std::string> news = pilot.TakeNews();
  ASSERT_EQ(news.size(), 1 + static_cast<size_t>(plan->clients_size()));
  EXPECT_THAT(news.front(), testing::HasSubstr("step 7: all clients: clients, wires and aggregator wait"));
  EXPECT_THAT(news.back(), testing::HasSubstr("step 7: bank: forward 0.2 s/block"));
  EXPECT_TRUE(pilot.TakeNews().empty());
}

TEST(Pilot, PlansAgainSomeTimeAfterARefusal) {
  const spec::FineTuneJob job = UnequalJob();
  Pilot pilot(job);
  const std::optional<control::Plan> plan = FirstPlan(pilot);
  ASSERT_TRUE(plan.has_value());
  int64_t again = 0;
  for (int64_t step = 21; step < 200 && again == 0; ++step) {
    control::JobEvent event = TrainingEvent(step);
    event.mutable_plan()->set_number(plan->number());
    event.mutable_plan()->set_state(control::PlanState::REFUSED);
    event.mutable_plan()->set_message("client bank: no memory");
    const std::optional<control::Plan> next = pilot.OnEvent(event, "uid");
    if (step == 21) {
      EXPECT_THAT(pilot.TakeNews(), testing::ElementsAre(testing::HasSubstr("refused: client bank: no memory")));
    }
    if (next.has_value()) {
      again = step;
      EXPECT_EQ(next->number(), 2U);
    }
  }
  EXPECT_GT(again, 100);
}

TEST(Pilot, NumbersItsPlansAboveThoseThatTheAggregatorHasSeen) {
  const spec::FineTuneJob job = UnequalJob();
  Pilot pilot(job, uint64_t{3} << 32);
  EXPECT_EQ(FirstPlan(pilot)->number(), uint64_t{3} << 32);
  Pilot later(job);
  for (int64_t step = 1; step < 20; ++step) {
    control::JobEvent event = TrainingEvent(step);
    event.mutable_plan()->set_number(41);
    if (const std::optional<control::Plan> plan = later.OnEvent(event, "uid")) {
      EXPECT_EQ(plan->number(), 42U);
      return;
    }
  }
  FAIL() << "no plan";
}

TEST(Pilot, OfAFormerLeaderIsSilentOnceItsSuccessorHasPlanned) {
  const spec::FineTuneJob job = UnequalJob();
  Pilot pilot(job, (uint64_t{3} << 32) + 1);
  for (int64_t step = 1; step < 40; ++step) {
    control::JobEvent event = TrainingEvent(step);
    event.mutable_plan()->set_number((uint64_t{4} << 32) + 1);
    EXPECT_FALSE(pilot.OnEvent(event, "uid").has_value());
  }
}

TEST(Pilot, PlansNothingWhileItsPlanIsPreparedFor) {
  const spec::FineTuneJob job = UnequalJob();
  Pilot pilot(job);
  const std::optional<control::Plan> plan = FirstPlan(pilot);
  ASSERT_TRUE(plan.has_value());
  for (int64_t step = 20; step < 100; ++step) {
    control::JobEvent event = TrainingEvent(step);
    event.mutable_plan()->set_number(plan->number());
    event.mutable_plan()->set_state(control::PlanState::PREPARING);
    EXPECT_FALSE(pilot.OnEvent(event, "uid").has_value());
  }
}

TEST(Pilot, OfAStaticJobOrAnAggregatorThatDoesNotSayWhatTheModelIsPlansNothing) {
  spec::FineTuneJob job = UnequalJob();
  Pilot blind(job);
  for (int64_t step = 1; step < 20; ++step) {
    control::JobEvent event = TrainingEvent(step);
    event.clear_model();
    EXPECT_FALSE(blind.OnEvent(event, "uid").has_value());
  }
  job.scheduling.policy = spec::SchedulingPolicy::kStatic;
  Pilot pilot(job);
  EXPECT_FALSE(FirstPlan(pilot).has_value());
}

}  // namespace
}  // namespace splitft::scheduler
