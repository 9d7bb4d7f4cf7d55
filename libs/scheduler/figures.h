#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "libs/scheduler/cost_model.h"

// What was measured of a job, wherever it was read.
namespace splitft::scheduler {

// What does not change while a job runs.
struct ModelShape {
  int block_count = 0;
  int64_t hidden_size = 0;
  int64_t adapter_bytes = 0;  // of one block, as they travel
  int64_t block_bytes = 0;    // memory that one block more takes: weights, and what a batch keeps for its backward pass

  bool operator==(const ModelShape&) const = default;
};

// One client's step. Seconds are sums over the step's microbatches.
struct ClientFigures {
  std::string name;
  Choice choice;  // that the step was run by
  int64_t tokens = 0;
  double head_forward_seconds = 0;
  double tail_seconds = 0;
  double head_backward_seconds = 0;
  Link link;
  double loss = 0;                 // of its own batch, per unmasked token
  int64_t memory_bytes = 0;        // the most it has used
  int64_t memory_limit_bytes = 0;  // 0: unknown
  double cpu_seconds = 0;          // of processors, added up over them, as the next
  double throttled_seconds = 0;    // that a CPU quota held it back
  double cpu_quota = 0;            // in cores; 0: none
  int cut_limit = 0;               // the highest cut that it may be given; 0: as the job has it
};

struct StepFigures {
  int64_t step = 0;         // steps done
  int64_t total_steps = 0;  // that there will be; 0: unknown
  int64_t attempt = 0;      // grows whenever a step is started over
  int microbatches = 1;     // that each client's batch was divided into
  double seconds = 0;
  double server_forward_seconds = 0;
  double server_backward_seconds = 0;
  double server_wait_seconds = 0;
  std::vector<ClientFigures> clients;  // in the job's order
};

// Empty: every figure is finite and none is negative, and something was computed. Else what is wrong with which, for
// people.
std::string WhatIsWrong(const StepFigures& figures);

}  // namespace splitft::scheduler
