#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/command.h"
#include "cli/job_checks.h"
#include "cli/text_format.h"
#include "libs/base/status_macros.h"

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

std::string ClientTable(const CheckedJob& checked) {
  TextTable table{.header = {"client", "data", "cut", "batch", "adapter elements", "sent a step", "received a step"},
                  .right_aligned = {false, false, true, true, true, true, true}};
  std::error_code error;
  const std::filesystem::path here = std::filesystem::current_path(error);
  for (const spec::Client& client : checked.job.clients) {
    const StepTraffic traffic = EstimateTraffic(checked, client);
    table.rows.push_back({client.name, ShortPath(client.data.source.value, here), absl::StrCat(client.cut_layer),
                          absl::StrCat(client.batch_size),
                          FormatCount(checked.layout.BlockRange(0, client.cut_layer).size),
                          FormatBytes(traffic.bytes_up), FormatBytes(traffic.bytes_down)});
  }
  return FormatTable(table);
}

std::string Length(const spec::Training& training) {
  if (training.steps > 0) {
    return Plural(training.steps, "step");
  }
  return absl::StrCat(training.epochs, training.epochs == 1 ? " epoch" : " epochs");
}

std::string Describe(const CheckedJob& checked) {
  const spec::FineTuneJob& job = checked.job;
  std::vector<std::string> modules;
  for (const model::AdapterSlot& slot : checked.layout.slots()) {
    if (slot.block == 0) {
      modules.push_back(slot.name);
    }
  }
  const bool labels_stay = job.split.labels == spec::LabelSide::kClient;
  return absl::StrCat(
      job.name, " is valid.\n\n  model    ", job.model.source.value, ": ", checked.model.block_count, " blocks of ",
      checked.model.hidden_size, ", ", job.model.dtype == spec::Dtype::kBfloat16 ? "bfloat16" : "float32",
      "\n  LoRA     rank ", job.lora.rank, " on ", absl::StrJoin(modules, ", "), ": ",
      FormatCount(checked.layout.size()), " trainable elements\n  training ", Length(job.training), " of up to ",
      job.training.sequence_length, " tokens a sequence, learning rate ", job.training.learning_rate, "\n  labels   ",
      labels_stay ? "stay with the clients" : "go to the aggregator, which sees the tokens", "\n  output   ",
      job.output.value, "\n\n", ClientTable(checked),
      "\n  Traffic is the most a step can take: samples shorter than sequenceLength take less.\n");
}

absl::Status Validate(const Arguments& arguments, const CommandContext& context) {
  SPLITFT_ASSIGN_OR_RETURN(const CheckedJob checked,
                           CheckJob({.manifest = *arguments.positional(), .overrides = arguments.All("--set")}));
  SayWarnings(checked, context.err);
  context.out << Describe(checked);
  return absl::OkStatus();
}

}  // namespace

Command ValidateCommand() { return {.spec = Spec(), .run = &Validate}; }

}  // namespace splitft::cli
