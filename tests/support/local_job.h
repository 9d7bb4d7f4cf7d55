#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
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
  std::vector<absl::Status> replaced;     // how each stream ended that kVanishes left behind
};

// What becomes of a client at a frame of its stream.
enum class Fate {
  kLives,
  kBreaks,    // its stream ends; a fresh client joins
  kVanishes,  // it says nothing any more, its stream stays; a fresh client joins
  kStaysAway  // its stream ends; nobody joins
};

// Runs a whole job in this process: the real coordinator, and one thread with the real session per client, over
// LoopbackNetwork. `datasets`: one per client, in the manifest's order. Returns the aggregator's error where it fails.
struct LocalJobOptions {
  // Every frame that crosses is appended to it (the wire, as an eavesdropper has it).
  std::vector<protocol::Frame>* seen = nullptr;
  Duration rejoin_patience{};
  // Asked of each frame, by the clients' threads one at a time: `up` when the client has just sent it, else before the
  // client gets it.
  std::function<Fate(const protocol::Frame& frame, bool up)> fate;
  // Asked before every step for the plan to go on by.
  std::function<std::optional<control::Plan>()> next_plan;
};
absl::StatusOr<LocalJobResult> RunLocalJob(const train::JobSetup& setup, std::vector<text::Dataset> datasets,
                                           const LocalJobOptions& options = {});

}  // namespace splitft
