// How long the scheduler takes to decide for many clients, and the simulator to run them: JSON on stdout.
//
//     scheduler_bench [--clients 10000] [--rounds 1000]

#include <algorithm>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/flags.h"
#include "libs/base/random.h"
#include "libs/simulation/simulate.h"

namespace splitft {
namespace {

// `clients` of every kind, each of `sequences` of 512 tokens in all, on a model of 32 blocks; a GPU whose work grows
// with them is as fast as they are many.
simulation::Fleet ManyClients(int clients, int64_t rounds, int sequences) {
  const RandomStream stream({.seed = 1});
  uint64_t drawn = 0;
  const auto pick = [&](std::initializer_list<double> values) {
    return values.begin()[stream.Below(drawn++, values.size())];
  };
  simulation::Fleet fleet;
  fleet.job.training.steps = rounds;
  fleet.job.training.sequence_length = 512 / sequences;
  fleet.job.scheduling = {.policy = spec::SchedulingPolicy::kMakespan, .round_steps = 1, .codecs = {"bf16", "int8"}};
  fleet.truth.shape = {.block_count = 32, .hidden_size = 768, .adapter_bytes = 100'000, .block_bytes = 0};
  fleet.truth.server = {.forward_seconds = 2e-5 / clients, .backward_seconds = 4e-5 / clients, .other_seconds = 0.01};
  for (int i = 0; i < clients; ++i) {
    fleet.job.clients.push_back(
        {.name = absl::StrCat("client-", i), .data = {}, .cut_layer = 2, .batch_size = sequences});
    const double forward = 1e-5 * (1 + 4 * stream.UniformDouble(drawn++));
    fleet.truth.clients.push_back({.forward_seconds = forward,
                                   .backward_seconds = 2 * forward,
                                   .tail_seconds = 5e-5,
                                   .link = {.up_bytes_per_second = pick({2.5e6, 1.25e7, 1.25e8}),
                                            .down_bytes_per_second = pick({2.5e6, 1.25e7, 1.25e8}),
                                            .round_trip_seconds = pick({0, 0.001, 0.02})},
                                   .noise = 0.05});
  }
  return fleet;
}

// The median of ten decisions, each as a running job makes it.
double DecisionSeconds(const simulation::Fleet& fleet) {
  const Clock& clock = SystemClock();
  simulation::SimulatedFleet simulated(fleet.job, fleet.truth);
  std::vector<double> seconds;
  for (int i = 0; i < 10; ++i) {
    scheduler::Planner planner(fleet.job, fleet.truth.shape);
    for (int step = 0; step < 8; ++step) {
      planner.Observe(simulated.Step());
    }
    const TimePoint start = clock.Now();
    static_cast<void>(planner.Decide());
    seconds.push_back(Seconds(clock.Now() - start));
  }
  std::nth_element(seconds.begin(), seconds.begin() + 5, seconds.end());
  return seconds[5];
}

int Main(std::span<const char* const> arguments) {
  const auto flags = ParseFlags(arguments, {}, {"clients", "rounds"});
  if (!flags.ok()) {
    std::fprintf(stderr, "scheduler_bench: %s\n", std::string(flags.status().message()).c_str());
    return 2;
  }
  const auto clients = IntegerOf(*flags, {.name = "clients", .low = 1, .high = 20'000, .fallback = 10'000});
  const auto rounds = IntegerOf(*flags, {.name = "rounds", .low = 10, .high = 100'000, .fallback = 1'000});
  if (!clients.ok() || !rounds.ok()) {
    std::fprintf(stderr, "scheduler_bench: --clients and --rounds are integers\n");
    return 2;
  }
  // What can be divided takes longer to decide on; and four times the frames, so that the figure is without.
  const double decision = DecisionSeconds(ManyClients(*clients, *rounds, 4));
  const simulation::Fleet fleet = ManyClients(*clients, *rounds, 1);
  const TimePoint start = SystemClock().Now();
  const simulation::Course run = simulation::Simulate(fleet);
  const double simulated = Seconds(SystemClock().Now() - start);
  std::printf(
      "{\"clients\": %d, \"rounds\": %d, \"decision_seconds\": %.6f, \"simulation_seconds\": %.3f, "
      "\"plans\": %zu, \"first_step_seconds\": %.3f, \"last_step_seconds\": %.3f}\n",
      *clients, *rounds, decision, simulated, run.plans.size(), run.step_seconds.front(), run.step_seconds.back());
  return 0;
}

}  // namespace
}  // namespace splitft

int main(int argc, char** argv) { return splitft::Main({argv + 1, static_cast<size_t>(argc - 1)}); }
