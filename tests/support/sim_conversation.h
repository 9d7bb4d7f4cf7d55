#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "libs/protocol/step_machine.h"
#include "tests/support/sim_net.h"

namespace splitft {

// A job's whole conversation without its mathematics: clients that answer as workers do, and an aggregator around
// protocol::StepMachine, on a simulated network. Broken streams are opened again and the step is started over.
struct Conversation {
  SimNet::Options net;
  size_t clients = 3;
  uint64_t steps = 3;
  uint32_t microbatches = 2;
  bool labels_on_server = false;
  bool client_gradients = true;
  bool evaluate = true;  // after every step; client i holds out i batches
};

// One piece of work, as the aggregator did it.
struct DoneWork {
  uint32_t attempt = 0;
  uint64_t step = 0;
  protocol::Work work;
  bool operator==(const DoneWork&) const = default;
};

struct ConversationResult {
  absl::Status status;  // OK: every program ended as it should
  std::vector<DoneWork> work;
  int64_t sends = 0;
  bool was_cut = false;
};

ConversationResult Simulate(const Conversation& conversation);

// What the aggregator must have done for `step` in the attempt that completed it, in order but for the evaluation's
// clients.
std::vector<protocol::Work> ExpectedWork(const Conversation& conversation);

}  // namespace splitft
