#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/command.h"
#include "cli/job_checks.h"
#include "cli/text_format.h"
#include "libs/base/status_macros.h"
#include "libs/text/dataset.h"
#include "libs/text/tokenizer.h"
#include "libs/train/guard.h"

namespace splitft::cli {
namespace {

CommandSpec Spec() {
  return {
      .name = "validate",
      .summary = "Check a manifest and the files it names, and show what would run",
      .details = "Prints all problems at once and ends with 2 (manifest) or 3 (files), or prints the job as a table.",
      .positional = "JOB.yaml",
      .flags = {{.name = "--set",
                 .value_name = "PATH=VALUE",
                 .help = "change the manifest's spec before it is read; may be given several times",
                 .repeated = true}},
      .examples = {
          {.command = "splitft validate job.yaml", .what = "check a job before running it"},
          {.command = "splitft validate job.yaml --set split.cutLayer=3", .what = "what another cut would cost"}}};
}

struct ClientText {
  size_t rows = 0;
  text::DatasetStats stats;
};

// Every client's text as its worker would read it. All unreadable ones at once.
absl::StatusOr<std::vector<ClientText>> ReadTexts(const CheckedJob& checked) {
  SPLITFT_ASSIGN_OR_RETURN(const text::Tokenizer tokenizer, text::Tokenizer::Load(checked.job.model.source.value));
  std::vector<ClientText> texts;
  std::vector<std::string> problems;
  absl::Status first;
  for (const spec::Client& client : checked.job.clients) {
    const absl::StatusOr<text::Dataset> dataset =
        text::LoadDataset(client.data, tokenizer, text::DatasetOptionsOf(checked.job.training, client.name));
    if (dataset.ok()) {
      texts.push_back({.rows = dataset->train.size(), .stats = dataset->stats});
      continue;
    }
    problems.push_back(absl::StrCat("client ", client.name, ": ", std::string(dataset.status().message())));
    first.Update(dataset.status());
  }
  if (problems.empty()) {
    return texts;
  }
  const std::string count = problems.size() > 1 ? absl::StrCat(problems.size(), " clients' data cannot be used\n") : "";
  return absl::Status(first.code(), absl::StrCat(count, absl::StrJoin(problems, "\n")));
}

std::string ClientTable(const CheckedJob& checked, const std::vector<ClientText>& texts) {
  TextTable table{.header = {"client", "data", "rows", "tokens", "cut", "batch", "sent a step", "received a step"},
                  .right_aligned = {false, false, true, true, true, true, true, true}};
  std::error_code error;
  const std::filesystem::path here = std::filesystem::current_path(error);
  for (size_t i = 0; i < texts.size(); ++i) {
    const spec::Client& client = checked.job.clients[i];
    const StepTraffic traffic = EstimateTraffic(checked, client);
    table.rows.push_back({client.name, ShortPath(client.data.source.value, here),
                          FormatCount(static_cast<int64_t>(texts[i].rows)), FormatCount(texts[i].stats.tokens),
                          absl::StrCat(client.cut_layer), absl::StrCat(client.batch_size),
                          FormatBytes(traffic.bytes_up), FormatBytes(traffic.bytes_down)});
  }
  return FormatTable(table);
}

// What a client's file lost on the way to rows; empty where nothing.
std::string Losses(const CheckedJob& checked, const std::vector<ClientText>& texts) {
  std::string lines;
  for (size_t i = 0; i < texts.size(); ++i) {
    const text::DatasetStats& stats = texts[i].stats;
    std::vector<std::string> losses;
    if (stats.skipped > 0) {
      losses.push_back(absl::StrCat(Plural(stats.skipped, "bad record"), " skipped"));
    }
    if (stats.truncated > 0) {
      losses.push_back(absl::StrCat(Plural(stats.truncated, "sample"), " cut to sequenceLength"));
    }
    if (stats.empty > 0) {
      losses.push_back(absl::StrCat(Plural(stats.empty, "record"), " with nothing to learn from"));
    }
    if (!losses.empty()) {
      absl::StrAppend(&lines, "  ", checked.job.clients[i].name, ": ", absl::StrJoin(losses, ", "), "\n");
    }
  }
  return lines;
}

std::string Length(const spec::Training& training) {
  if (training.steps > 0) {
    return Plural(training.steps, "step");
  }
  return absl::StrCat(training.epochs, training.epochs == 1 ? " epoch" : " epochs");
}

std::string Describe(const CheckedJob& checked, const std::vector<ClientText>& texts) {
  const spec::FineTuneJob& job = checked.job;
  std::vector<std::string> modules;
  for (const model::AdapterSlot& slot : checked.layout.slots()) {
    if (slot.block == 0) {
      modules.push_back(slot.name);
    }
  }
  const std::string at_cuts =
      job.lora.cut_layer_rank > 0 ? absl::StrCat(", ", job.lora.cut_layer_rank, " at the cuts,") : "";
  const bool labels_stay = job.split.labels == spec::LabelSide::kClient;
  return absl::StrCat(
      job.name, " is valid.\n\n  model    ", job.model.source.value, ": ", checked.model.block_count, " blocks of ",
      checked.model.hidden_size, ", ", job.model.dtype == spec::Dtype::kBfloat16 ? "bfloat16" : "float32",
      "\n  LoRA     rank ", job.lora.rank, at_cuts, " on ", absl::StrJoin(modules, ", "), ": ",
      FormatCount(checked.layout.size()), " trainable elements\n  training ", Length(job.training), " of up to ",
      job.training.sequence_length, " tokens a sequence, learning rate ", job.training.learning_rate, "\n  labels   ",
      labels_stay ? "stay with the clients" : "go to the aggregator, which sees the tokens", "\n  output   ",
      job.output.value, "\n\n", ClientTable(checked, texts), Losses(checked, texts),
      "\n  Traffic is the most a step can take: samples shorter than sequenceLength take less.\n");
}

absl::Status Validate(const Arguments& arguments, const CommandContext& context) {
  SPLITFT_ASSIGN_OR_RETURN(const CheckedJob checked,
                           CheckJob({.manifest = *arguments.positional(), .overrides = arguments.All("--set")}));
  absl::StatusOr<std::vector<ClientText>> texts;
  SPLITFT_RETURN_IF_ERROR(train::RunGuarded([&]() -> absl::Status {
    texts = ReadTexts(checked);
    return texts.status();
  }));
  context.out << Describe(checked, *texts);
  return absl::OkStatus();
}

}  // namespace

Command ValidateCommand() { return {.spec = Spec(), .run = &Validate}; }

}  // namespace splitft::cli
