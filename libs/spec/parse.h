#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/spec/job.h"

namespace splitft::spec {

// Longer than any manifest a person writes.
inline constexpr size_t kManifestLimitBytes = 256 * 1024;

struct ParseOptions {
  // What relative paths in the manifest (and in overrides) are relative to; itself relative to the current directory.
  std::filesystem::path base_directory;
  // "training.steps=50": a path below `spec` and a YAML value; applied before defaults and validation. Elements of
  // lists go by index or by name: "clients[0].cutLayer=3", "clients.hospital.cutLayer=3".
  std::vector<std::string> overrides;
  // What FormatJob made of a job with many clients may need more.
  size_t limit_bytes = kManifestLimitBytes;
};

// Parses, defaults and validates one FineTuneJob document.
// On failure: InvalidArgument with one line per problem, all of them at once, each with the path in the manifest
// (spec.clients[1].cutLayer), the offending value and what was expected; an unknown key with a suggestion. What is not
// plain YAML (anchors, tags, duplicate keys, ...) comes with its line instead, and then alone.
// Touches no file: whether paths exist is for the caller. Thread-safe, as all of this header.
absl::StatusOr<FineTuneJob> ParseJob(std::string_view yaml, const ParseOptions& options);

// The job as a canonical manifest: every field, absolute paths. ParseJob(FormatJob(job)) == job.
std::string FormatJob(const FineTuneJob& job);

// What only the model can tell: cuts, maxCutLayer and tailBlocks against the number of blocks (a server without any
// block is allowed). Same error form as ParseJob.
absl::Status ValidateAgainstModel(const FineTuneJob& job, int block_count);

}  // namespace splitft::spec
