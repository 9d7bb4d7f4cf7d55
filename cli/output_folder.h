#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "libs/base/file.h"

namespace splitft::cli {

// Makes `folder` ready for a job's output: creates it, or empties it where it holds a former output of splitft and
// nothing else, and leaves `manifest` in it as job.yaml. FailedPrecondition: it holds something that splitft did not
// write, which is named and kept, as is everything else. PermissionDenied, ResourceExhausted: it cannot be written, or
// fewer than `least_free_bytes` are free. Aborted: another run writes there. All are marked kUnusableInput.
// The folder is this run's as long as the descriptor is held.
absl::StatusOr<UniqueFd> PrepareOutputFolder(const std::filesystem::path& folder, const std::string& manifest,
                                             int64_t least_free_bytes);

}  // namespace splitft::cli
