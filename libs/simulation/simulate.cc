#include "libs/simulation/simulate.h"

#include <algorithm>

namespace splitft::simulation {
namespace {

constexpr size_t kMostRemembered = 1000;

}  // namespace

Course Simulate(const Fleet& fleet) {
  SimulatedFleet simulated(fleet.job, fleet.truth);
  scheduler::Planner planner(fleet.job, fleet.truth.shape);
  Course run;
  auto change = fleet.changes.begin();
  for (int64_t step = 0; step < fleet.job.training.steps; ++step) {
    for (; change != fleet.changes.end() && change->step <= step + 1; ++change) {
      const ClientTruth& was = fleet.truth.clients[change->client];
      ClientTruth& now = simulated.client(change->client);
      now.forward_seconds = was.forward_seconds / change->compute;
      now.backward_seconds = was.backward_seconds / change->compute;
      now.tail_seconds = was.tail_seconds / change->compute;
      now.link.up_bytes_per_second = was.link.up_bytes_per_second * change->link;
      now.link.down_bytes_per_second = was.link.down_bytes_per_second * change->link;
    }
    const scheduler::StepFigures figures = simulated.Step();
    run.step_seconds.push_back(figures.seconds);
    run.server_seconds += figures.server_forward_seconds + figures.server_backward_seconds;
    planner.Observe(figures);
    std::optional<scheduler::Plan> plan = planner.Decide();
    if (!plan.has_value()) {
      continue;
    }
    simulated.Follow(*plan);
    if (fleet.job.clients.size() > kMostRemembered) {
      plan->fleet = {};
      plan->now = {};
      plan->names.clear();
    }
    run.plans.push_back(*std::move(plan));
  }
  run.arrangement = simulated.arrangement();
  run.seconds = simulated.seconds();
  run.restarts = simulated.restarts();
  return run;
}

}  // namespace splitft::simulation
