#pragma once

#include <vector>

#include "libs/scheduler/planner.h"
#include "libs/simulation/fleet_file.h"

namespace splitft::simulation {

// A simulated job from its first step to its last.
struct Course {
  std::vector<double> step_seconds;
  std::vector<scheduler::Plan> plans;  // with reasons; those of more than a thousand clients without what they knew
  scheduler::Arrangement arrangement;  // at the end
  double seconds = 0;                  // of all steps
  double server_seconds = 0;           // that the aggregator computed
  int64_t restarts = 0;
};

// Runs `fleet` under its scheduling, through the scheduler and the round state machine of real jobs. The same fleet
// gives the same run.
Course Simulate(const Fleet& fleet);

}  // namespace splitft::simulation
