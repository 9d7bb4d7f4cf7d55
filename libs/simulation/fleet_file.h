#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/simulation/simulated_fleet.h"
#include "libs/spec/job.h"

namespace splitft::simulation {

// From `step` on, a client is so many times as fast as it was described.
struct SpeedChange {
  int64_t step = 0;
  size_t client = 0;
  double compute = 1;
  double link = 1;
};

// A fleet and what it is to train, as `splitft simulate` reads them (docs/simulation.md has the fields).
struct Fleet {
  spec::FineTuneJob job;
  FleetTruth truth;
  std::vector<SpeedChange> changes;  // by step
};

inline constexpr size_t kFleetLimitBytes = 1 << 20;
inline constexpr int kMostSimulatedClients = 20'000;

// InvalidArgument with one line per problem: path, value and what was expected.
absl::StatusOr<Fleet> ParseFleet(std::string_view yaml);

}  // namespace splitft::simulation
