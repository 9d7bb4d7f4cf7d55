#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "aggregator/job_history.h"
#include "api/proto/control.pb.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/model/adapter_layout.h"
#include "libs/model/model_directory.h"
#include "libs/spec/job.h"

namespace splitft::aggregator {

// The job's output folder (docs/output.md): metrics.jsonl while it runs; adapter, tokenizer files, model card and
// report when it ends.
class Output {
 public:
  // Creates the folder and an empty metrics.jsonl. NotFound, PermissionDenied or ResourceExhausted (disk full), naming
  // the path.
  // Unavailable: another aggregator writes there, and has for a minute.
  static absl::StatusOr<Output> Open(const std::filesystem::path& directory, const Clock& clock);

  // Appends the step that `event` reports; an event without a step's figures changes nothing.
  absl::Status Record(const control::JobEvent& event);
  // Appends a plan and what became of it to decisions.jsonl, which is there from the first one on.
  absl::Status RecordDecision(const control::Plan& plan, const control::PlanState& state);

  struct Trained {
    const spec::FineTuneJob& job;
    const model::ModelDirectory& base;
    const model::AdapterLayout& layout;
    std::span<const float> adapters;
    std::string reason;  // Completed, EarlyStopped
  };
  // Writes what a finished job leaves. The adapter comes last, so that a folder with one is whole; after it, of a job
  // with a UID, what FinishedBefore looks for.
  absl::Status Finish(const Trained& trained);

  // The SHA-256 of the adapter in `directory`, where `job` has come to its end there before; nothing where it has not,
  // where the adapter is another by now, or where the job has no UID.
  static std::optional<std::string> FinishedBefore(const std::filesystem::path& directory,
                                                   const spec::FineTuneJob& job);

  const std::filesystem::path& directory() const { return directory_; }

 private:
  Output(std::filesystem::path directory, UniqueFd metrics, const Clock& clock)
      : directory_(std::move(directory)), metrics_(std::move(metrics)), clock_(&clock) {}

  std::filesystem::path directory_;
  UniqueFd metrics_;    // locked, so that no other aggregator writes here
  UniqueFd decisions_;  // from the first decision on
  const Clock* clock_;
  JobHistory history_;
};

}  // namespace splitft::aggregator
