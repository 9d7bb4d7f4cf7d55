#include "cli/run_summary.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/text_format.h"
#include "nlohmann/json.hpp"

namespace splitft::cli {
namespace {

constexpr size_t kMostAveraged = 10;
constexpr char kPromptAnnotation[] = "splitft.io/example-prompt";

double Mean(const std::vector<double>& values, size_t begin, size_t count) {
  const auto first = values.begin() + static_cast<std::ptrdiff_t>(begin);
  return std::accumulate(first, first + static_cast<std::ptrdiff_t>(count), 0.0) / static_cast<double>(count);
}

std::string PathWord(const std::filesystem::path& path, const RunResult& result) {
  return ShellWord(ShortPath(path, result.working_directory));
}

}  // namespace

absl::StatusOr<RunTotals> AddUpMetrics(std::string_view jsonl) {
  RunTotals totals;
  std::vector<double> losses;
  while (!jsonl.empty()) {
    const size_t end = jsonl.find('\n');
    const std::string_view line = jsonl.substr(0, end);
    jsonl.remove_prefix(end == std::string_view::npos ? jsonl.size() : end + 1);
    const auto record = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!record.is_object() || !record.contains("loss") || !record["loss"].is_number() || !record.contains("clients") ||
        !record["clients"].is_array()) {
      return absl::InvalidArgumentError(absl::StrCat("line ", losses.size() + 1, " is no metrics record"));
    }
    losses.push_back(record["loss"].get<double>());
    totals.tokens += record.value("tokens", int64_t{0});
    if (record.contains("eval_loss") && record["eval_loss"].is_number()) {
      totals.eval_loss = record["eval_loss"].get<double>();
    }
    for (const auto& client : record["clients"]) {
      totals.bytes_up += client.value("bytes_up", int64_t{0});
      totals.bytes_down += client.value("bytes_down", int64_t{0});
    }
  }
  if (losses.empty()) {
    return absl::InvalidArgumentError("there is no metrics record");
  }
  const size_t averaged = std::clamp<size_t>(losses.size() / 2, 1, kMostAveraged);
  totals.steps = static_cast<int64_t>(losses.size());
  totals.averaged_steps = static_cast<int64_t>(averaged);
  totals.first_loss = Mean(losses, 0, averaged);
  totals.last_loss = Mean(losses, losses.size() - averaged, averaged);
  return totals;
}

std::string CompletedJson(const std::string& output, const RunTotals& totals, Duration elapsed) {
  nlohmann::ordered_json json;
  json["event"] = "completed";
  json["output"] = output;
  json["steps"] = totals.steps;
  json["seconds"] = Seconds(elapsed);
  json["tokens"] = totals.tokens;
  json["first_loss"] = totals.first_loss;
  json["last_loss"] = totals.last_loss;
  if (totals.eval_loss.has_value()) {
    json["eval_loss"] = *totals.eval_loss;
  }
  json["bytes_up"] = totals.bytes_up;
  json["bytes_down"] = totals.bytes_down;
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

std::string FormatRunSummary(const RunResult& result) {
  const RunTotals& totals = result.totals;
  const std::filesystem::path output = result.job.output.value;
  std::string text = absl::StrCat("Done: ", Plural(totals.steps, "step"), " in ", FormatDuration(result.elapsed), ", ",
                                  FormatCount(totals.tokens), " tokens. Loss ", FormatLoss(totals.first_loss), " -> ",
                                  FormatLoss(totals.last_loss));
  if (totals.averaged_steps > 1) {
    absl::StrAppend(&text, " (means of the first and the last ", totals.averaged_steps, " steps)");
  }
  if (totals.eval_loss.has_value()) {
    absl::StrAppend(&text, ", ", FormatLoss(*totals.eval_loss), " on held-out text");
  }
  absl::StrAppend(&text, ".\n");
  absl::StrAppend(&text, "Sent by clients ", FormatBytes(totals.bytes_up), ", received ",
                  FormatBytes(totals.bytes_down),
                  result.job.split.labels == spec::LabelSide::kClient
                      ? "; no text, token or label left a client's process.\n\n"
                      : "; with labels on the server, the aggregator has seen the tokens.\n\n");
  absl::StrAppend(&text, "  adapter  ", ShortPath(output, result.working_directory), "  (PEFT loads this folder)\n");
  absl::StrAppend(&text, "  report   ", ShortPath(output / "report.html", result.working_directory), "\n");
  absl::StrAppend(&text, "  metrics  ", ShortPath(output / "metrics.jsonl", result.working_directory), "\n\n");

  const std::string generate = absl::StrCat("  ", ShellWord(result.program), " generate --temperature 0 --model ",
                                            PathWord(result.job.model.source.value, result));
  const auto asked = result.job.annotations.find(kPromptAnnotation);
  const std::string prompt =
      absl::StrCat(" --prompt ", ShellWord(asked != result.job.annotations.end() ? asked->second : "The"), "\n");
  absl::StrAppend(&text, "Try next, before and after fine-tuning:\n", generate, prompt, generate, " --adapter ",
                  PathWord(output, result), prompt);
  return text;
}

}  // namespace splitft::cli
