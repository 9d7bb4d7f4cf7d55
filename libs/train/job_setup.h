#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/model/adapter_layout.h"
#include "libs/model/model_directory.h"
#include "libs/spec/job.h"
#include "libs/train/block_stack.h"

namespace splitft::train {

// What every process of a job derives from the manifest and the base model before it computes anything.
struct JobSetup {
  spec::FineTuneJob job;
  std::string job_uid;
  uint64_t model_digest = 0;  // HashName of config.json's bytes: both sides must have the same model
  std::unique_ptr<const model::ModelDirectory> base;
  std::unique_ptr<const model::AdapterLayout> layout;
};

// Reads the manifest, opens the base model and checks one against the other (cuts, target modules, sequence length).
// Errors are those of ParseJob, ModelDirectory::Open, ValidateAgainstModel and AdapterLayout::Create.
absl::StatusOr<JobSetup> OpenJob(const std::filesystem::path& manifest);

// Where this process computes: `device` as the manifest has it, in the job's dtype.
absl::StatusOr<StackOptions> StackOptionsOf(const spec::FineTuneJob& job, const std::string& device);

}  // namespace splitft::train
