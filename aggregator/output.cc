#include "aggregator/output.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "aggregator/metrics_log.h"
#include "aggregator/report.h"
#include "libs/base/sha256.h"
#include "libs/base/status_macros.h"
#include "libs/model/peft_adapter.h"
#include "libs/spec/parse.h"

namespace splitft::aggregator {
namespace {

namespace fs = std::filesystem;

// What `peft` and vLLM users expect beside an adapter, where the base model has it.
constexpr const char* kTokenizerFiles[] = {
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json",
    "merges.txt",     "chat_template.jinja",   "added_tokens.json",       "tokenizer.model"};

constexpr char kFinishedFile[] = ".splitft-finished";

// For this job's former aggregator, which may still be ending.
constexpr Duration kFormerWriterPatience = std::chrono::seconds(60);

constexpr char kMetricsFile[] = "metrics.jsonl";
constexpr char kDecisionsFile[] = "decisions.jsonl";

// An empty file that lines are appended to.
absl::StatusOr<UniqueFd> CreateLog(const fs::path& path) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644));
  if (!fd.valid()) {
    return ErrnoStatus(errno, "create", path);
  }
  return fd;
}

absl::Status WriteLine(const UniqueFd& fd, const fs::path& path, const std::string& line) {
  const ssize_t written = ::write(fd.get(), line.data(), line.size());
  if (written < 0) {
    return ErrnoStatus(errno, "write", path);
  }
  return static_cast<size_t>(written) < line.size() ? ErrnoStatus(ENOSPC, "write", path) : absl::OkStatus();
}

// A log that no other aggregator writes to while this one does, empty. Where the file system has no locks, everybody is
// let in.
absl::StatusOr<UniqueFd> CreateOwnLog(const fs::path& path, const Clock& clock) {
  UniqueFd log(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!log.valid()) {
    return ErrnoStatus(errno, "create", path);
  }
  const TimePoint deadline = clock.Now() + kFormerWriterPatience;
  bool taken = false;
  while ((taken = ::flock(log.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) && clock.Now() < deadline) {
    clock.SleepFor(std::chrono::milliseconds(100));
  }
  if (taken) {
    return absl::UnavailableError(absl::StrCat("\"", path.parent_path().string(),
                                               "\" is being written by another aggregator: each job needs an output of "
                                               "its own"));
  }
  return ::ftruncate(log.get(), 0) == 0 ? absl::StatusOr<UniqueFd>(std::move(log)) : ErrnoStatus(errno, "empty", path);
}

std::string UidOf(const spec::FineTuneJob& job) {
  const auto uid = job.annotations.find(spec::kUidAnnotation);
  return uid == job.annotations.end() ? "" : uid->second;
}

std::string FinishedText(const std::string& uid, const std::string& sha256) {
  return absl::StrCat(uid, " ", sha256, "\n");
}

absl::Status CopyTokenizer(const fs::path& from, const fs::path& to) {
  for (const char* name : kTokenizerFiles) {
    std::error_code error;
    if (!fs::exists(from / name, error)) {
      continue;
    }
    fs::copy_file(from / name, to / name, fs::copy_options::overwrite_existing, error);
    if (error) {
      return ErrnoStatus(error.value(), "copy the tokenizer to", to / name);
    }
  }
  return absl::OkStatus();
}

std::string ModelCard(const Output::Trained& trained, const JobHistory& history) {
  const JobHistory::Totals totals = history.totals();
  std::string card =
      absl::StrCat("---\nbase_model: ", trained.job.model.source.value,
                   "\nlibrary_name: peft\npipeline_tag: text-generation\ntags:\n- lora\n- splitft\n---\n\n# ",
                   trained.job.name, "\n\nA LoRA adapter trained by splitft: ", trained.job.clients.size(),
                   " clients kept their text; only hidden states, their gradients and adapters crossed the wire.\n\n");
  absl::StrAppend(&card, "| | |\n|---|---|\n| steps | ", totals.steps, " |\n| tokens | ", totals.tokens, " |\n");
  absl::StrAppendFormat(&card, "| loss, first ten steps | %.4f |\n| loss, last ten steps | %.4f |\n", totals.first_loss,
                        totals.last_loss);
  absl::StrAppend(&card, "| ended | ", trained.reason, " |\n\n");
  absl::StrAppend(&card, "```python\nfrom peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n",
                  "base = AutoModelForCausalLM.from_pretrained(\"", trained.job.model.source.value,
                  "\")\nmodel = PeftModel.from_pretrained(base, \"PATH/TO/THIS/FOLDER\")\n```\n");
  return card;
}

}  // namespace

absl::StatusOr<Output> Output::Open(const fs::path& directory, const Clock& clock) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) {
    return ErrnoStatus(error.value(), "create", directory);
  }
  SPLITFT_ASSIGN_OR_RETURN(UniqueFd metrics, CreateOwnLog(directory / kMetricsFile, clock));
  fs::remove(directory / kDecisionsFile, error);  // of a run before; there may be none
  return Output(directory, std::move(metrics), clock);
}

absl::Status Output::Record(const control::JobEvent& event) {
  if (!event.has_figures() || event.phase() != control::TRAINING) {
    return absl::OkStatus();
  }
  history_.Add(event);
  return WriteLine(metrics_, directory_ / kMetricsFile, MetricsLine(event, clock_->WallTime()));
}

absl::Status Output::RecordDecision(const control::Plan& plan, const control::PlanState& state) {
  const fs::path path = directory_ / kDecisionsFile;
  if (!decisions_.valid()) {
    SPLITFT_ASSIGN_OR_RETURN(decisions_, CreateLog(path));
  }
  return WriteLine(decisions_, path, DecisionLine(plan, state, clock_->WallTime()));
}

absl::Status Output::Finish(const Trained& trained) {
  SPLITFT_RETURN_IF_ERROR(CopyTokenizer(trained.base.path(), directory_));
  SPLITFT_RETURN_IF_ERROR(WriteFileAtomically(directory_ / "README.md", ModelCard(trained, history_)));
  SPLITFT_RETURN_IF_ERROR(
      WriteFileAtomically(directory_ / "report.html", RenderReport({.job = trained.job.name,
                                                                    .model = trained.job.model.source.value,
                                                                    .manifest = spec::FormatJob(trained.job),
                                                                    .reason = trained.reason,
                                                                    .history = history_})));
  SPLITFT_RETURN_IF_ERROR(model::WritePeftAdapter(directory_, trained.base.config(), trained.job.lora, trained.layout,
                                                  trained.adapters, trained.job.model.source.value));
  const std::string uid = UidOf(trained.job);
  if (uid.empty()) {
    return absl::OkStatus();
  }
  SPLITFT_ASSIGN_OR_RETURN(const std::string sha256, Sha256OfFile(directory_ / model::kAdapterFile));
  return WriteFileAtomically(directory_ / kFinishedFile, FinishedText(uid, sha256));
}

std::optional<std::string> Output::FinishedBefore(const fs::path& directory, const spec::FineTuneJob& job) {
  constexpr size_t kLimitBytes = 1 << 10;
  const std::string uid = UidOf(job);
  const absl::StatusOr<std::string> text = ReadFile(directory / kFinishedFile, kLimitBytes);
  if (uid.empty() || !text.ok()) {
    return std::nullopt;
  }
  const absl::StatusOr<std::string> sha256 = Sha256OfFile(directory / model::kAdapterFile);
  return sha256.ok() && *text == FinishedText(uid, *sha256) ? std::optional(*sha256) : std::nullopt;
}

}  // namespace splitft::aggregator
