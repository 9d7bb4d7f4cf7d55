#pragma once

#include <span>
#include <vector>

#include "libs/scheduler/cost_model.h"
#include "libs/spec/job.h"

// How the next choices are made. Pure. docs/scheduling.md sets them side by side.
namespace splitft::scheduler {

// What a policy decides from.
struct Situation {
  const Fleet& fleet;
  const Arrangement& now;
  std::span<const double> losses;  // of the clients' own batches, per unmasked token
  std::span<const spec::Codec> codecs;
};

// The codecs that the job lets a client have, the most exact first: those of the manifest, or the one it begins with.
std::vector<spec::Codec> AllowedCodecs(const spec::FineTuneJob& job);

// How to go on by the job's policy. Makespan: search.h's LeastSeconds; Budget: LeastServerSeconds; both leave alone
// what may stay as it is. SplitFT: the paper's rule, a block more for whoever is more accurate than the mean, one less
// for whoever is less. Static: as it is.
Arrangement Choose(const spec::Scheduling& scheduling, const Situation& situation);

}  // namespace splitft::scheduler
