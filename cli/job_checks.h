#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/model/adapter_layout.h"
#include "libs/model/config.h"
#include "libs/spec/job.h"

namespace splitft::cli {

// What the command line says about a job.
struct JobRequest {
  std::filesystem::path manifest;
  std::vector<std::string> overrides;           // of --set
  std::optional<std::filesystem::path> output;  // of --out; relative to the working directory
};

struct CheckedJob {
  spec::FineTuneJob job;
  model::ModelConfig model;
  model::AdapterLayout layout;
};

// Reads, parses and checks a job against this machine: the files it names, and its cuts and modules against the model.
// The error has every problem, one per line after the first, and is marked kUsage where the manifest is at fault,
// kUnusableInput where only files are.
absl::StatusOr<CheckedJob> CheckJob(const JobRequest& request);

// `status`, which has a line for each problem of `file`, as the command line shows it: marked kUsage.
absl::Status ProblemsOf(const std::filesystem::path& file, const absl::Status& status);

// What one client sends and receives in one step, at most (when every sample fills sequenceLength).
struct StepTraffic {
  int64_t bytes_up = 0;
  int64_t bytes_down = 0;
};
StepTraffic EstimateTraffic(const CheckedJob& checked, const spec::Client& client);

}  // namespace splitft::cli
