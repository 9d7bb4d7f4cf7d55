#include "cli/job_checks.h"

#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/text_format.h"
#include "libs/base/file.h"
#include "libs/base/status_macros.h"
#include "libs/model/model_directory.h"
#include "libs/protocol/frame.h"
#include "libs/spec/parse.h"
#include "libs/telemetry/exit.h"
#include "libs/train/tensor_frame.h"
#include "nlohmann/json.hpp"

namespace splitft::cli {
namespace {

namespace fs = std::filesystem;
using telemetry::ExitCode;

constexpr size_t kManifestLimitBytes = 256 * 1024;

// Everything that is wrong with a job, gathered before anything is said.
class Problems {
 public:
  void Add(ExitCode code, const std::string& message) {
    lines_.push_back(message);
    code_ = code == ExitCode::kUsage ? code : code_;
  }
  // Each line of an error that lists several.
  void Add(ExitCode code, const absl::Status& status) {
    if (!status.ok()) {
      for (const std::string& line :
           std::vector<std::string>(absl::StrSplit(std::string(status.message()), '\n', absl::SkipWhitespace()))) {
        Add(code, line);
      }
    }
  }
  bool empty() const { return lines_.empty(); }
  absl::Status ToStatus(const fs::path& manifest) const {
    std::string message = absl::StrCat("\"", manifest.string(), "\"");
    if (lines_.size() == 1) {
      absl::StrAppend(&message, ": ", lines_[0]);
    } else {
      absl::StrAppend(&message, " has ", lines_.size(), " problems");
      for (const std::string& line : lines_) {
        absl::StrAppend(&message, "\n", line);
      }
    }
    return telemetry::WithExitCode(absl::InvalidArgumentError(message), code_);
  }

 private:
  std::vector<std::string> lines_;
  ExitCode code_ = ExitCode::kUnusableInput;
};

absl::StatusOr<spec::FineTuneJob> ReadJob(const JobRequest& request) {
  absl::StatusOr<std::string> yaml = ReadFile(request.manifest, kManifestLimitBytes);
  if (!yaml.ok()) {
    return telemetry::WithExitCode(yaml.status(), ExitCode::kUsage);
  }
  std::error_code error;
  const fs::path manifest = fs::absolute(request.manifest, error);
  if (error) {
    return telemetry::WithExitCode(ErrnoStatus(error.value(), "find", request.manifest), ExitCode::kUsage);
  }
  spec::ParseOptions options{.base_directory = manifest.parent_path(), .overrides = request.overrides};
  if (request.output.has_value()) {
    const fs::path output = fs::absolute(*request.output, error);
    if (request.output->empty() || error) {
      return telemetry::WithExitCode(
          absl::InvalidArgumentError(absl::StrCat("--out: \"", request.output->string(), "\" is no path of a folder")),
          ExitCode::kUsage);
    }
    // A JSON string is a YAML string, whatever the path holds.
    options.overrides.push_back(
        absl::StrCat("output.path=", nlohmann::json(output.lexically_normal().string()).dump()));
  }
  absl::StatusOr<spec::FineTuneJob> job = spec::ParseJob(*yaml, options);
  if (!job.ok()) {
    return ProblemsOf(request.manifest, job.status());
  }
  return job;
}

const char* SourceField(spec::SourceKind kind) {
  switch (kind) {
    case spec::SourceKind::kHuggingFace:
      return "huggingFace";
    case spec::SourceKind::kPersistentVolumeClaim:
      return "persistentVolumeClaim";
    case spec::SourceKind::kHostPath:
      return "hostPath";
    case spec::SourceKind::kConfigMap:
      return "configMap";
    case spec::SourceKind::kPath:
      break;
  }
  return "path";
}

enum class Wanted { kFile, kFolder, kAnything };

// `field` is the source's place in the manifest.
void CheckSource(const std::string& field, const spec::Source& source, Wanted wanted, Problems* problems) {
  if (source.kind != spec::SourceKind::kPath) {
    problems->Add(ExitCode::kUsage, absl::StrCat(field, ".", SourceField(source.kind), ": \"", source.value,
                                                 "\" needs a cluster; on one machine use ", field, ".path"));
    return;
  }
  if (wanted == Wanted::kAnything) {
    return;
  }
  std::error_code error;
  const fs::file_status status = fs::status(source.value, error);
  const std::string found = absl::StrCat(field, ".path: \"", source.value, "\" ");
  if (status.type() == fs::file_type::not_found) {
    problems->Add(ExitCode::kUnusableInput, found + "does not exist");
  } else if (status.type() == fs::file_type::none) {
    problems->Add(ExitCode::kUnusableInput, absl::StrCat(found, "cannot be looked at: ", error.message()));
  } else if (wanted == Wanted::kFolder && status.type() != fs::file_type::directory) {
    problems->Add(ExitCode::kUnusableInput, found + "is not a folder");
  } else if (wanted == Wanted::kFile && status.type() != fs::file_type::regular) {
    problems->Add(ExitCode::kUnusableInput, found + "is not a regular file");
  }
}

void CheckFiles(const spec::FineTuneJob& job, Problems* problems) {
  CheckSource("spec.model.source", job.model.source, Wanted::kFolder, problems);
  for (size_t i = 0; i < job.clients.size(); ++i) {
    CheckSource(absl::StrCat("spec.clients[", i, "].data"), job.clients[i].data.source, Wanted::kFile, problems);
  }
  if (job.lora.initial_adapter.has_value()) {
    CheckSource("spec.lora.initialAdapter", {.value = job.lora.initial_adapter->string()}, Wanted::kFolder, problems);
    std::error_code error;
    if (fs::equivalent(*job.lora.initial_adapter, job.output.value, error)) {
      problems->Add(ExitCode::kUsage,
                    absl::StrCat("spec.output.path: \"", job.output.value,
                                 "\" is spec.lora.initialAdapter, which a run would replace before it "
                                 "is read; choose another folder"));
    }
  }
  CheckSource("spec.output", job.output, Wanted::kAnything, problems);
}

}  // namespace

absl::Status ProblemsOf(const fs::path& file, const absl::Status& status) {
  Problems problems;
  problems.Add(ExitCode::kUsage, status);
  return problems.ToStatus(file);
}

absl::StatusOr<CheckedJob> CheckJob(const JobRequest& request) {
  SPLITFT_ASSIGN_OR_RETURN(spec::FineTuneJob job, ReadJob(request));
  Problems problems;
  CheckFiles(job, &problems);
  std::error_code error;
  if (!fs::is_directory(job.model.source.value, error)) {
    return problems.ToStatus(request.manifest);
  }
  absl::StatusOr<model::ModelDirectory> directory = model::ModelDirectory::Open(job.model.source.value);
  if (!directory.ok()) {
    problems.Add(ExitCode::kUnusableInput, directory.status());
    return problems.ToStatus(request.manifest);
  }
  const model::ModelConfig& config = directory->config();
  problems.Add(ExitCode::kUsage, spec::ValidateAgainstModel(job, config.block_count));
  absl::StatusOr<model::AdapterLayout> layout = model::AdapterLayout::Create(config, job.lora);
  problems.Add(ExitCode::kUsage, layout.status());
  if (job.training.sequence_length > config.max_positions) {
    problems.Add(ExitCode::kUsage, absl::StrCat("spec.training.sequenceLength: ", job.training.sequence_length,
                                                " is more than the ", config.max_positions, " positions of the model"));
  }
  if (!problems.empty()) {
    return problems.ToStatus(request.manifest);
  }
  return CheckedJob{.job = std::move(job), .model = config, .layout = *std::move(layout)};
}

StepTraffic EstimateTraffic(const CheckedJob& checked, const spec::Client& client) {
  const spec::FineTuneJob& job = checked.job;
  const int64_t tokens = static_cast<int64_t>(client.batch_size) * job.training.sequence_length;
  const int64_t hidden =
      protocol::TensorBytes(
          {.format = train::HiddenFormat(job), .shape = {tokens, checked.model.hidden_size}, .runs = {}})
          .value();  // the limits of a manifest keep it far from overflow
  const int64_t head = 4 * checked.layout.BlockRange(0, client.cut_layer).size;
  const int blocks = checked.model.block_count;
  const int64_t tail = 4 * checked.layout.BlockRange(blocks - job.split.tail_blocks, blocks).size;
  const int64_t head_gradients = job.split.train_client ? head : 0;
  const int64_t hidden_gradient = job.split.train_client ? hidden : 0;
  if (job.split.labels == spec::LabelSide::kServer) {
    return {.bytes_up = hidden + 4 * tokens + head_gradients, .bytes_down = head + hidden_gradient};
  }
  return {.bytes_up = 2 * hidden + head_gradients + tail, .bytes_down = head + tail + hidden + hidden_gradient};
}

}  // namespace splitft::cli
