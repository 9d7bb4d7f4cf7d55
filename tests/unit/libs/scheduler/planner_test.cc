#include "libs/scheduler/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <string>
#include <vector>

#include "tests/support/modelled_job.h"

namespace splitft::scheduler {
namespace {

using enum spec::SchedulingPolicy;

TEST(Planner, FindsTheShortestStepAtTheFirstRoundThatIsMeasured) {
  ModelledJob job(kMakespan, {0.02, 0.04, 0.08});
  Planner planner(job.job, kShape);
  const std::vector<Plan> plans = job.Run(planner, 10);
  ASSERT_EQ(plans.size(), 1U);
  EXPECT_EQ(plans[0].step, 5);
  double best = std::numeric_limits<double>::infinity();
  for (int a = 1; a <= 12; ++a) {
    for (int b = 1; b <= 12; ++b) {
      for (int c = 1; c <= 12; ++c) {
        const Arrangement all{{{.cut_layer = a}, {.cut_layer = b}, {.cut_layer = c}}};
        best = std::min(best, Predict(job.truth, all).seconds);
      }
    }
  }
  EXPECT_LE(job.seconds(), 1.03 * best);
  EXPECT_NEAR(plans[0].seconds_then, job.seconds(), 0.01 * job.seconds());
}

TEST(Planner, FollowsAClientThatSlowsDownWithinThreeRounds) {
  ModelledJob job(kMakespan, {0.01, 0.01, 0.01});
  Planner planner(job.job, kShape);
  job.Run(planner, 30);
  const int before = job.choices()[1].cut_layer;
  job.truth.clients[1].forward_seconds *= 5;
  job.truth.clients[1].backward_seconds *= 5;
  const std::vector<Plan> plans = job.Run(planner, 15);
  ASSERT_FALSE(plans.empty());
  EXPECT_LT(job.choices()[1].cut_layer, before);
  EXPECT_EQ(plans[0].changes[0].client, "b");
  EXPECT_THAT(plans[0].changes[0].reason, testing::HasSubstr("s/block, 5 times the median: cut "));
}

TEST(Planner, ChangesAtMostOncePerClientInFiftyRoundsOfNoise) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    const double forward = 0.002 * static_cast<double>(1 + seed % 30);
    ModelledJob job(kMakespan, {forward, 2 * forward, 4 * forward}, seed);
    Planner planner(job.job, kShape);
    std::map<std::string, int> changes;
    for (const Plan& plan : job.Run(planner, 250, /*noise=*/0.1)) {
      for (const Change& change : plan.changes) {
        ++changes[change.client];
      }
    }
    for (const auto& [client, count] : changes) {
      EXPECT_LE(count, 1) << client << ", seed " << seed;
    }
  }
}

TEST(Planner, OfAStaticJobChangesNothing) {
  ModelledJob job(kStatic, {0.02, 0.04, 0.08});
  Planner planner(job.job, kShape);
  EXPECT_TRUE(job.Run(planner, 50).empty());
}

TEST(Planner, HoldsWhileFiguresAreNotToBeTrusted) {
  ModelledJob job(kMakespan, {0.02, 0.04, 0.08});
  Planner planner(job.job, kShape);
  for (int i = 0; i < 25; ++i) {
    StepFigures figures = job.Step();
    switch (i % 5) {
      case 0:
        figures.clients[0].head_forward_seconds = std::numeric_limits<double>::quiet_NaN();
        break;
      case 1:
        figures.seconds = -1;
        break;
      case 2:
        figures.clients[2].link.up_bytes_per_second = -5;
        break;
      case 3:
        figures.clients.pop_back();
        break;
      default:
        figures.clients[1].head_backward_seconds = std::numeric_limits<double>::infinity();
    }
    planner.Observe(figures);
    EXPECT_FALSE(planner.Decide().has_value());
  }
  EXPECT_THAT(planner.holding(), testing::HasSubstr("not to be trusted"));
  EXPECT_EQ(job.Run(planner, 10).size(), 1U) << "and goes on when they are right again";
}

TEST(Planner, WaitsForItsPlanToShow) {
  ModelledJob job(kMakespan, {0.02, 0.04, 0.08});
  Planner planner(job.job, kShape);
  std::vector<int64_t> planned;
  for (int i = 0; i < 25; ++i) {  // nobody follows
    planner.Observe(job.Step());
    if (const std::optional<Plan> plan = planner.Decide()) {
      planned.push_back(plan->step);
    }
  }
  EXPECT_THAT(planned, testing::ElementsAre(5, 20)) << "asked again after three rounds";
}

TEST(Planner, AsksAgainAtOnceWhatWasRefused) {
  ModelledJob job(kMakespan, {0.02, 0.04, 0.08});
  Planner planner(job.job, kShape);
  for (int i = 0; i < 5; ++i) {
    planner.Observe(job.Step());
  }
  ASSERT_TRUE(planner.Decide().has_value());
  planner.Refused(/*for_good=*/false);
  EXPECT_EQ(job.Run(planner, 5, 0.05).size(), 1U);
}

TEST(Planner, DoesNotAskAgainSoonWhatTheJobCannotDo) {
  ModelledJob job(kMakespan, {0.02, 0.04, 0.08});
  Planner planner(job.job, kShape);
  int64_t step = 0;
  std::vector<int64_t> asked;
  while (step < 140) {
    const StepFigures figures = job.Step();
    step = figures.step;
    planner.Observe(figures);
    if (planner.Decide().has_value()) {
      asked.push_back(step);
      planner.Refused(/*for_good=*/true);
    }
  }
  EXPECT_THAT(asked, testing::ElementsAre(5, 105)) << "after twenty rounds of five steps";
}

// A plan that turns out slower than what it came from is taken back as soon as that is measured.
TEST(Planner, GoesBackFromAPlanThatDoesNotKeepItsPromise) {
  ModelledJob job(kMakespan, {0.02, 0.04, 0.08});
  Planner planner(job.job, kShape);
  const std::vector<Choice> before = job.choices();
  const double seconds = job.seconds();
  int64_t back = 0;
  for (int i = 0; i < 60 && back == 0; ++i) {
    StepFigures figures = job.Step();
    if (job.choices() != before) {
      figures.server_wait_seconds += 1.3 * seconds - figures.seconds;  // whatever the model says
      figures.seconds = 1.3 * seconds;
    }
    planner.Observe(figures);
    if (const std::optional<Plan> plan = planner.Decide()) {
      job.Follow(*plan);
      back = job.choices() == before ? figures.step : 0;
    }
  }
  EXPECT_GT(back, 5);
  EXPECT_LE(back, 20);
}

// A client slows down, and with it everything takes a third longer than the model says. What was measured of the first
// cuts before that makes them look shorter than any.
TEST(Planner, ForgetsWhatWasMeasuredOfAnotherFleet) {
  ModelledJob job(kMakespan, {0.005, 0.005, 0.005});
  Planner planner(job.job, kShape);
  job.Run(planner, 30);
  ASSERT_GT(job.choices()[2].cut_layer, 4);
  job.truth.clients[2].forward_seconds *= 8;
  job.truth.clients[2].backward_seconds *= 8;
  for (int i = 0; i < 30; ++i) {
    StepFigures figures = job.Step();
    figures.server_wait_seconds += 2 * figures.seconds;
    figures.seconds *= 3;
    planner.Observe(figures);
    if (const std::optional<Plan> plan = planner.Decide()) {
      job.Follow(*plan);
    }
  }
  EXPECT_LT(job.choices()[2].cut_layer, 4);
}

// Its quota lets it have a tenth of a processor, and its little work just fits in what each period has.
TEST(Planner, KnowsThatAQuotaHoldsWhoeverHasMoreToDo) {
  ModelledJob job(kMakespan, {0.005, 0.005, 0.005});
  job.choices()[0].cut_layer = 1;
  job.truth.clients[0].tail_seconds = 0.01;
  job.truth.server = {.forward_seconds = 5e-5, .backward_seconds = 1e-4, .other_seconds = 0.01};
  Planner planner(job.job, kShape);
  int plans = 0;
  for (int i = 0; i < 60; ++i) {
    StepFigures figures = job.Step();
    ClientFigures& bank = figures.clients[0];
    bank.cpu_quota = 0.1;
    bank.cpu_seconds = bank.head_forward_seconds + bank.tail_seconds + bank.head_backward_seconds;
    planner.Observe(figures);
    if (const std::optional<Plan> plan = planner.Decide()) {
      ++plans;
      EXPECT_NEAR(plan->fleet.clients[0].forward_seconds, 0.05, 1e-9);
      EXPECT_NEAR(plan->fleet.clients[0].tail_seconds, 0.1, 1e-9);
      EXPECT_NEAR(plan->fleet.clients[1].tail_seconds, 0.1, 1e-9) << "has no quota";
      job.Follow(*plan);
    }
  }
  EXPECT_GE(plans, 1);
  EXPECT_LE(job.choices()[0].cut_layer, 3);
  EXPECT_GT(job.choices()[1].cut_layer, 4);
}

// Under a quota that saves up: whoever computes little has saved it up and looks fast, until there is more to do.
TEST(Planner, IsSeldomTakenInByAClientThatIsFastInBurstsOnly) {
  ModelledJob modelled(spec::SchedulingPolicy::kMakespan, {0.005, 0.01, 0.01});
  Planner planner(modelled.job, kShape);
  int raised = 0;
  int steps_high = 0;
  for (int step = 0; step < 500; ++step) {
    const bool bursts = modelled.choices()[0].cut_layer <= 2;
    modelled.truth.clients[0].forward_seconds = bursts ? 0.005 : 0.3;
    modelled.truth.clients[0].backward_seconds = bursts ? 0.01 : 0.6;
    steps_high += bursts ? 0 : 1;
    for (const Plan& plan : modelled.Run(planner, 1, 0.02)) {
      for (const Change& change : plan.changes) {
        raised += change.client == "a" && change.to.cut_layer > 2 && change.from.cut_layer <= 2 ? 1 : 0;
      }
    }
  }
  EXPECT_GE(raised, 1) << "it is tried";
  EXPECT_LE(raised, 3) << "but less and less often: after 20, 40 and 80 rounds";
  EXPECT_LT(steps_high, 75);
}

TEST(Planner, HoldsWhileTheAggregatorHasRunNoBlock) {
  ModelledJob job(kMakespan, {0.02, 0.04, 0.08});
  for (Choice& choice : job.choices()) {
    choice.cut_layer = 12;
  }
  Planner planner(job.job, kShape);
  EXPECT_TRUE(job.Run(planner, 20).empty());
  EXPECT_THAT(planner.holding(), testing::HasSubstr("has run none yet"));
}

TEST(Planner, LeavesStepsOutThatWereStartedOver) {
  ModelledJob job(kMakespan, {0.02, 0.04, 0.08});
  Planner planner(job.job, kShape);
  job.Run(planner, 30);
  for (int i = 0; i < 4; ++i) {  // somebody is lost in every other step, and each waits for a minute
    StepFigures figures = job.Step();
    figures.attempt = 2 + i / 2;
    figures.seconds += i % 2 == 0 ? 60 : 0;
    planner.Observe(figures);
    static_cast<void>(planner.Decide());
  }
  EXPECT_NEAR(planner.predicted_seconds(), job.seconds(), 0.05 * job.seconds());
}

TEST(Planner, ChangesNothingThatTheRestOfTheJobWouldNotPayFor) {
  ModelledJob job(kMakespan, {0.02, 0.04, 0.08});
  job.job.training.steps = 6;
  Planner planner(job.job, kShape);
  EXPECT_TRUE(job.Run(planner, 6).empty());
  EXPECT_THAT(planner.holding(), testing::HasSubstr("not worth its change"));
}

TEST(Planner, KeepsWithinTheMemoryAndThePrivacyFloor) {
  ModelledJob job(kMakespan, {0.001, 0.001, 0.2});
  job.job.split.min_cut_layer = 3;
  Planner planner(job.job, kShape);
  for (int i = 0; i < 10; ++i) {
    StepFigures figures = job.Step();
    figures.clients[0].memory_bytes = 800 << 20;
    figures.clients[0].memory_limit_bytes = (800 << 20) * 10LL / 9 + (3 << 20);  // room for two blocks more
    planner.Observe(figures);
    if (const std::optional<Plan> plan = planner.Decide()) {
      job.Follow(*plan);
    }
  }
  EXPECT_EQ(job.choices()[0].cut_layer, 6);
  EXPECT_GT(job.choices()[1].cut_layer, 6);
  EXPECT_EQ(job.choices()[2].cut_layer, 3);
}

TEST(Planner, ByBudgetLeavesTheAggregatorTheLeastThatFits) {
  ModelledJob job(kBudget, {0.01, 0.01, 0.01});
  const double before = Predict(job.truth, job.arrangement).server_seconds;
  job.job.scheduling.step_seconds = 3 * job.seconds();
  Planner planner(job.job, kShape);
  job.Run(planner, 20);
  EXPECT_LE(job.seconds(), job.job.scheduling.step_seconds * 1.01);
  EXPECT_LT(Predict(job.truth, job.arrangement).server_seconds, before);
}

TEST(Planner, BySplitFtMovesABlockAtATimeByAccuracy) {
  ModelledJob job(kSplitFt, {0.02, 0.02, 0.02});
  Planner planner(job.job, kShape);
  const double losses[] = {2, 3, 4};
  std::vector<std::vector<int>> cuts;
  for (int i = 0; i < 20; ++i) {
    StepFigures figures = job.Step();
    for (size_t client = 0; client < 3; ++client) {
      figures.clients[client].loss = losses[client];
    }
    planner.Observe(figures);
    if (const std::optional<Plan> plan = planner.Decide()) {
      job.Follow(*plan);
      cuts.push_back({job.choices()[0].cut_layer, job.choices()[1].cut_layer, job.choices()[2].cut_layer});
    }
  }
  ASSERT_GE(cuts.size(), 3U);
  EXPECT_THAT(cuts[0], testing::ElementsAre(5, 4, 3));
  EXPECT_THAT(cuts[1], testing::ElementsAre(6, 4, 2));
  EXPECT_THAT(cuts[2], testing::ElementsAre(7, 4, 1));
}

TEST(Planner, OfFrozenClientsMovesNoCut) {
  ModelledJob job(kMakespan, {0.02, 0.04, 0.08});
  job.job.split.train_client = false;
  Planner planner(job.job, kShape);
  EXPECT_TRUE(job.Run(planner, 20).empty());
}

}  // namespace
}  // namespace splitft::scheduler
