#include "libs/train/job_setup.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "libs/base/file.h"
#include "libs/base/random.h"
#include "libs/base/status_macros.h"
#include "libs/model/model.h"
#include "libs/spec/parse.h"

namespace splitft::train {
namespace {

// As the programs are given it: formatted, with every field of every client.
constexpr size_t kManifestLimitBytes = 4 << 20;
constexpr size_t kConfigLimitBytes = 1 << 20;

absl::Status CheckSequenceLength(const spec::FineTuneJob& job, const model::ModelConfig& config) {
  if (config.max_positions > 0 && job.training.sequence_length > config.max_positions) {
    return absl::InvalidArgumentError(absl::StrCat("spec.training.sequenceLength: ", job.training.sequence_length,
                                                   " is more than the model's ", config.max_positions, " positions"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<JobSetup> OpenJob(const std::filesystem::path& manifest) {
  JobSetup setup;
  SPLITFT_ASSIGN_OR_RETURN(const std::string yaml, ReadFile(manifest, kManifestLimitBytes));
  SPLITFT_ASSIGN_OR_RETURN(setup.job, spec::ParseJob(yaml, {.base_directory = manifest.parent_path(),
                                                            .overrides = {},
                                                            .limit_bytes = kManifestLimitBytes}));
  setup.job_uid = absl::StrFormat("%s-%016x", setup.job.name, HashName(yaml));
  const spec::Source& source = setup.job.model.source;
  if (source.kind != spec::SourceKind::kPath && source.kind != spec::SourceKind::kHostPath) {
    return absl::UnimplementedError("spec.model.source: only path works on one machine so far");
  }
  SPLITFT_ASSIGN_OR_RETURN(model::ModelDirectory base, model::ModelDirectory::Open(source.value));
  setup.base = std::make_unique<const model::ModelDirectory>(std::move(base));
  const model::ModelConfig& config = setup.base->config();
  SPLITFT_RETURN_IF_ERROR(spec::ValidateAgainstModel(setup.job, config.block_count));
  SPLITFT_RETURN_IF_ERROR(CheckSequenceLength(setup.job, config));
  SPLITFT_ASSIGN_OR_RETURN(model::AdapterLayout layout, model::AdapterLayout::Create(config, setup.job.lora));
  setup.layout = std::make_unique<const model::AdapterLayout>(std::move(layout));
  SPLITFT_ASSIGN_OR_RETURN(const std::string text,
                           ReadFile(std::filesystem::path(source.value) / "config.json", kConfigLimitBytes));
  setup.model_digest = HashName(text);
  return setup;
}

absl::StatusOr<StackOptions> StackOptionsOf(const spec::FineTuneJob& job, const std::string& device) {
  StackOptions options{.dropout = job.lora.dropout, .seed = job.training.seed, .placement = {}};
  SPLITFT_ASSIGN_OR_RETURN(options.placement.device, model::ResolveDevice(device));
  options.placement.dtype = job.model.dtype == spec::Dtype::kBfloat16 ? at::kBFloat16 : at::kFloat;
  return options;
}

}  // namespace splitft::train
