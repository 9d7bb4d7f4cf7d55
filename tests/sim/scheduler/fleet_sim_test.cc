// The scheduler on fleets that know nothing of its cost model: steps go through the aggregator's own state machine,
// frame by frame, and only what an aggregator would measure comes back.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>

#include "libs/base/random.h"
#include "libs/scheduler/planner.h"
#include "libs/simulation/simulated_fleet.h"

namespace splitft::simulation {
namespace {

using scheduler::Choice;

constexpr int kBlocks = 6;

struct Case {
  spec::FineTuneJob job;
  FleetTruth truth;
};

Case RandomCase(uint64_t seed, int clients) {
  const RandomStream stream({.seed = seed});
  uint64_t drawn = 0;
  const auto uniform = [&](double low, double high) { return low + (high - low) * stream.UniformDouble(drawn++); };
  const auto pick = [&](std::initializer_list<double> values) {
    return values.begin()[stream.Below(drawn++, values.size())];
  };
  Case c;
  c.job.scheduling.policy = spec::SchedulingPolicy::kMakespan;
  c.job.training.steps = 400;
  c.job.training.sequence_length = 128;
  c.job.training.microbatches = static_cast<int>(pick({1, 1, 2, 4}));
  c.truth.seed = seed;
  c.truth.shape = {.block_count = kBlocks, .hidden_size = 768, .adapter_bytes = 100'000, .block_bytes = 30 << 20};
  c.truth.server = {.forward_seconds = uniform(2e-6, 4e-5),
                    .backward_seconds = uniform(2e-6, 8e-5),
                    .block_seconds = 1e-4,
                    .other_seconds = 0.005};
  for (int i = 0; i < clients; ++i) {
    c.job.clients.push_back({.name = "client-" + std::to_string(i), .data = {}, .cut_layer = 2});
    const double forward = uniform(5e-6, 1e-4);
    c.truth.clients.push_back({.forward_seconds = forward,
                               .backward_seconds = 2 * forward,
                               .tail_seconds = uniform(2e-5, 2e-4),
                               .link = {.up_bytes_per_second = pick({6e5, 2.5e6, 1.25e7, 1.25e8}),
                                        .down_bytes_per_second = pick({2.5e6, 1.25e7, 1.25e8}),
                                        .round_trip_seconds = pick({0, 0.001, 0.02})}});
  }
  return c;
}

struct Result {
  double seconds = 0;       // of all steps
  double last_seconds = 0;  // of the last
  double predicted = 0;     // of the last, by the planner
  std::map<std::string, int> changes;
};

// `steps` steps under the planner; `before`: called before each.
Result RunJob(const Case& c, int steps, const std::function<void(int, SimulatedFleet&)>& before = {}) {
  SimulatedFleet fleet(c.job, c.truth);
  scheduler::Planner planner(c.job, c.truth.shape);
  Result result;
  for (int i = 0; i < steps; ++i) {
    if (before) {
      before(i, fleet);
    }
    const scheduler::StepFigures figures = fleet.Step();
    result.last_seconds = figures.seconds;
    planner.Observe(figures);
    if (const std::optional<scheduler::Plan> plan = planner.Decide()) {
      for (const scheduler::Change& change : plan->changes) {
        ++result.changes[change.client];
      }
      fleet.Follow(*plan);
    }
  }
  result.seconds = fleet.seconds();
  result.predicted = planner.predicted_seconds();
  return result;
}

double StaticSeconds(const Case& c, const scheduler::Arrangement& arrangement) {
  SimulatedFleet fleet(c.job, c.truth);
  fleet.Assign(arrangement);
  return fleet.Step().seconds;
}

// The shortest step of all static cuts and microbatches, by trying every one.
double BestStaticSeconds(const Case& c) {
  double best = std::numeric_limits<double>::infinity();
  for (int microbatches = 1; microbatches <= spec::SmallestBatch(c.job); microbatches *= 2) {
    scheduler::Arrangement arrangement{.clients = std::vector<Choice>(c.job.clients.size()),
                                       .microbatches = microbatches};
    for (size_t i = 0; i < arrangement.clients.size();) {
      best = std::min(best, StaticSeconds(c, arrangement));
      for (i = 0; i < arrangement.clients.size() && ++arrangement.clients[i].cut_layer > kBlocks; ++i) {
        arrangement.clients[i].cut_layer = 1;
      }
    }
  }
  return best;
}

TEST(SchedulerOnAFleet, TakesAtMostATenthMoreThanTheBestStaticPlan) {
  double worst = 0;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Case c = RandomCase(seed, 3);
    const Result result = RunJob(c, 100);
    const double ratio = result.last_seconds / BestStaticSeconds(c);
    worst = std::max(worst, ratio);
    EXPECT_LE(ratio, 1.10) << "seed " << seed << ", " << c.job.training.microbatches << " microbatches";
  }
  RecordProperty("worst_ratio", std::to_string(worst));
}

TEST(SchedulerOnAFleet, PredictsTheNextStepsWithinATenth) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Result result = RunJob(RandomCase(seed, 4), 60);
    EXPECT_NEAR(result.predicted, result.last_seconds, 0.1 * result.last_seconds) << "seed " << seed;
  }
}

TEST(SchedulerOnAFleet, LeavesAFleetThatOnlyVariesAlone) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Case c = RandomCase(seed, 4);
    for (ClientTruth& client : c.truth.clients) {
      client.noise = 0.1;
    }
    for (const auto& [client, changes] : RunJob(c, 250).changes) {
      EXPECT_LE(changes, 1) << "seed " << seed << ", " << client;
    }
  }
}

// A client is throttled to a fifth, another let go: within three rounds the step is near what it can be.
TEST(SchedulerOnAFleet, FollowsSpeedsThatAreSwapped) {
  constexpr int kSwap = 60;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Case c = RandomCase(seed, 3);
    for (ClientTruth& client : c.truth.clients) {
      client.link = {.up_bytes_per_second = 1.25e7, .down_bytes_per_second = 1.25e7, .round_trip_seconds = 0};
      client.forward_seconds = 1e-5;
      client.backward_seconds = 2e-5;
    }
    c.truth.clients[0].forward_seconds *= 5;
    c.truth.clients[0].backward_seconds *= 5;
    Case swapped = c;
    std::swap(swapped.truth.clients[0], swapped.truth.clients[2]);
    const Result result = RunJob(c, kSwap + 3 * c.job.scheduling.round_steps + 1, [&](int step, SimulatedFleet& fleet) {
      if (step == kSwap) {
        std::swap(fleet.client(0), fleet.client(2));
      }
    });
    EXPECT_LE(result.last_seconds, 1.15 * BestStaticSeconds(swapped)) << "seed " << seed;
  }
}

TEST(SchedulerOnAFleet, OfFlakyClientsGoesOn) {
  Case c = RandomCase(3, 4);
  c.truth.clients[1].loss_probability = 0.1;
  c.truth.clients[1].away_seconds = 0.05;
  SimulatedFleet fleet(c.job, c.truth);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(fleet.Step().step, i + 1);
  }
  EXPECT_GT(fleet.restarts(), 0);
  EXPECT_EQ(RunJob(c, 100).seconds, RunJob(c, 100).seconds) << "the same seed gives the same run";
}

}  // namespace
}  // namespace splitft::simulation
