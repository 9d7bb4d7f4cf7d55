#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/random.h"
#include "libs/scheduler/planner.h"

// A job for tests of the planner.
namespace splitft::scheduler {

inline constexpr ModelShape kShape = {
    .block_count = 12, .hidden_size = 768, .adapter_bytes = 100'000, .block_bytes = 1 << 20};
inline constexpr int64_t kTokens = 512;

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

}  // namespace splitft::scheduler
