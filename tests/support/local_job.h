#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "api/proto/control.pb.h"
#include "libs/protocol/frame.h"
#include "libs/protocol/ports.h"
#include "libs/text/dataset.h"
#include "libs/train/job_setup.h"

namespace splitft {

struct LocalJobResult {
  std::string reason;                     // Completed, EarlyStopped
  std::vector<double> losses;             // per step
  std::vector<double> eval_losses;        // per evaluation
  std::vector<control::JobEvent> events;  // as the command line would see them
  std::vector<float> adapters;            // flat, at the end
};

// Runs a whole job in this process: the real coordinator, and one thread with the real session per client, over
// LoopbackNetwork. `datasets`: one per client, in the manifest's order. Returns the aggregator's error where it fails.
// With `seen` every frame that crosses is appended to it (the wire, as an eavesdropper has it).
struct LocalJobOptions {
  std::vector<protocol::Frame>* seen = nullptr;
};
absl::StatusOr<LocalJobResult> RunLocalJob(const train::JobSetup& setup, std::vector<text::Dataset> datasets,
                                           const LocalJobOptions& options = {});

}  // namespace splitft
