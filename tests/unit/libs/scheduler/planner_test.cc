#include "libs/scheduler/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "libs/base/random.h"

namespace splitft::scheduler {
namespace {

constexpr ModelShape kShape = {.block_count = 12, .hidden_size = 768, .adapter_bytes = 100'000, .block_bytes = 1 << 20};
constexpr int64_t kTokens = 512;

// A job whose clients are as they are, and step by step do as they are told. What a step takes is what the cost model
// says, give or take `noise`; sim.scheduler has a fleet that knows nothing of that model.
class ModelledJob {
 public:
  ModelledJob(spec::SchedulingPolicy policy, const std::vector<double>& forward_seconds, uint64_t seed = 1)
      : draws_({.seed = seed}) {
    job.scheduling.policy = policy;
    job.training.steps = 1000;
    for (size_t i = 0; i < forward_seconds.size(); ++i) {
      // Of one sequence, which cannot be divided.
      job.clients.push_back(
          {.name = std::string(1, static_cast<char>('a' + i)), .data = {}, .cut_layer = 4, .batch_size = 1});
      truth.clients.push_back({.forward_seconds = forward_seconds[i],
                               .backward_seconds = 2 * forward_seconds[i],
                               .tail_seconds = 0.1,
                               .tokens = kTokens,
                               .link = {.up_bytes_per_second = 1.25e7, .down_bytes_per_second = 1.25e7},
                               .lowest_cut = 1,
                               .highest_cut = 12});
      choices().push_back({.cut_layer = 4, .codec = spec::Codec::kFp32});
    }
    truth.server = {.forward_seconds = 1e-5, .backward_seconds = 2e-5, .other_seconds = 0.01};
    truth.trunk_end = 12;
    truth.hidden_size = kShape.hidden_size;
    truth.adapter_bytes = kShape.adapter_bytes;
  }

  StepFigures Step(double noise = 0) {
    const auto about = [&](double value) { return value * (1 + noise * (2 * draws_.UniformDouble(drawn_++) - 1)); };
    StepFigures figures{.step = ++step_,
                        .total_steps = job.training.steps,
                        .attempt = 1,
                        .microbatches = arrangement.microbatches,
                        .clients = {}};
    double block_tokens = 0;
    for (size_t i = 0; i < choices().size(); ++i) {
      const ClientCost& client = truth.clients[i];
      const double cut = choices()[i].cut_layer;
      figures.clients.push_back({.name = job.clients[i].name,
                                 .choice = choices()[i],
                                 .tokens = kTokens,
                                 .head_forward_seconds = about(cut * client.forward_seconds),
                                 .tail_seconds = about(client.tail_seconds),
                                 .head_backward_seconds = about(cut * client.backward_seconds),
                                 .link = client.link,
                                 .loss = 3});
      block_tokens += static_cast<double>(kTokens) * (truth.trunk_end - cut);
    }
    figures.server_forward_seconds = about(block_tokens * truth.server.forward_seconds);
    figures.server_backward_seconds = about(block_tokens * truth.server.backward_seconds);
    figures.seconds = about(Predict(truth, arrangement).seconds);
    figures.server_wait_seconds =
        figures.seconds - figures.server_forward_seconds - figures.server_backward_seconds - truth.server.other_seconds;
    return figures;
  }

  void Follow(const Plan& plan) {
    for (const Change& change : plan.changes) {
      const auto client = std::find_if(job.clients.begin(), job.clients.end(),
                                       [&](const spec::Client& c) { return c.name == change.client; });
      choices()[static_cast<size_t>(client - job.clients.begin())] = change.to;
    }
    arrangement.microbatches = plan.microbatches != 0 ? plan.microbatches : arrangement.microbatches;
  }

  // Runs `steps` steps under `planner` and returns its plans.
  std::vector<Plan> Run(Planner& planner, int steps, double noise = 0) {
    std::vector<Plan> plans;
    for (int i = 0; i < steps; ++i) {
      planner.Observe(Step(noise));
      if (std::optional<Plan> plan = planner.Decide()) {
        Follow(*plan);
        plans.push_back(*std::move(plan));
      }
    }
    return plans;
  }

  double seconds() const { return Predict(truth, arrangement).seconds; }

  spec::FineTuneJob job;
  Fleet truth;
  Arrangement arrangement;
  std::vector<Choice>& choices() { return arrangement.clients; }

 private:
  RandomStream draws_;
  uint64_t drawn_ = 0;
  int64_t step_ = 0;
};

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

// Under a quota: whoever computes little has saved it up and looks fast, until there is more to do.
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

// Clients of eight sequences each.
ModelledJob DividedJob(spec::SchedulingPolicy policy) {
  ModelledJob job(policy, {0.02, 0.04, 0.08});
  for (spec::Client& client : job.job.clients) {
    client.batch_size = 8;
  }
  return job;
}

TEST(Planner, DividesBatchesAsFarAsTheStepGainsFromIt) {
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

// Each part has costs of its own here, whatever the model says: it is tried, and soon taken back.
TEST(Planner, TakesMicrobatchesBackThatDoNotPay) {
  ModelledJob job = DividedJob(kMakespan);
  Planner planner(job.job, kShape);
  int raised = 0;
  int steps_divided = 0;
  for (int i = 0; i < 500; ++i) {
    StepFigures figures = job.Step();
    const double extra = 0.3 * (figures.microbatches - 1);
    figures.seconds += extra;
    figures.server_wait_seconds += extra;
    steps_divided += figures.microbatches > 1 ? 1 : 0;
    planner.Observe(figures);
    if (const std::optional<Plan> plan = planner.Decide()) {
      raised += plan->microbatches > job.arrangement.microbatches ? 1 : 0;
      job.Follow(*plan);
    }
  }
  EXPECT_GE(raised, 1);
  EXPECT_LE(raised, 4);
  EXPECT_LT(steps_divided, 75);
}

TEST(Planner, ByBudgetDividesNoFurtherThanTheTimeAsksFor) {
  ModelledJob job = DividedJob(kBudget);
  job.job.scheduling.step_seconds = 3 * job.seconds();
  Planner planner(job.job, kShape);
  job.Run(planner, 20);
  EXPECT_EQ(job.arrangement.microbatches, 1);
  EXPECT_LE(job.seconds(), job.job.scheduling.step_seconds * 1.01);
}

TEST(Planner, BySplitFtLeavesMicrobatchesAlone) {
  ModelledJob job = DividedJob(kSplitFt);
  Planner planner(job.job, kShape);
  job.Run(planner, 40);
  EXPECT_EQ(job.arrangement.microbatches, 1);
}

TEST(Planner, OfFrozenClientsMovesNoCut) {
  ModelledJob job(kMakespan, {0.02, 0.04, 0.08});
  job.job.split.train_client = false;
  Planner planner(job.job, kShape);
  EXPECT_TRUE(job.Run(planner, 20).empty());
}

}  // namespace
}  // namespace splitft::scheduler
