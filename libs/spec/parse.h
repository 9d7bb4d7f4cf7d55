#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/spec/job.h"

namespace splitft::spec {

struct ParseOptions {
  std::filesystem::path base_directory;  // what relative paths in the manifest are relative to
  // "training.steps=50": a path below `spec` and a YAML value; applied before defaults and validation.
  std::vector<std::string> overrides;
};

// Parses, defaults and validates one FineTuneJob document.
// On failure: InvalidArgument with one line per problem, all of them at once, each with the path in the manifest
// (spec.clients[1].cutLayer), the offending value and what was expected; an unknown key with a suggestion.
// Touches no file: whether paths exist is for the caller.
absl::StatusOr<FineTuneJob> ParseJob(std::string_view yaml, const ParseOptions& options);

// The job as a canonical manifest: every field, absolute paths. ParseJob(FormatJob(job)) == job.
std::string FormatJob(const FineTuneJob& job);

// What only the model can tell: cuts against the number of blocks. Same error form as ParseJob.
absl::Status ValidateAgainstModel(const FineTuneJob& job, int block_count);

}  // namespace splitft::spec
