#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/proto/control.pb.h"
#include "cli/command.h"
#include "cli/text_format.h"
#include "libs/base/file.h"
#include "libs/base/status_macros.h"
#include "libs/scheduler/reasons.h"
#include "nlohmann/json.hpp"

namespace splitft::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLargestLog = size_t{256} << 20;
constexpr char kLog[] = "decisions.jsonl";
constexpr char kMetrics[] = "metrics.jsonl";

CommandSpec Spec() {
  return {.name = "decisions",
          .summary = "List how a job's cuts, codecs and microbatches were changed while it ran, and why",
          .details = "Reads decisions.jsonl in the output folder of a job with spec.scheduling, also while it runs.",
          .positional = "DIR",
          .flags = {{.name = "--inputs", .value_name = "", .help = "also show the figures that each was made from"},
                    {.name = "--json", .value_name = "", .help = "the lines as they are"}},
          .examples = {{.command = "splitft decisions out", .what = "every plan and what became of it"}}};
}

// "0.523 s"; nothing where it is unknown.
std::string Step(double seconds) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3f s", seconds);
  return seconds > 0 ? text : "-";
}

absl::StatusOr<std::vector<control::Decision>> Parse(const fs::path& path, const std::string& text) {
  std::vector<control::Decision> decisions;
  int number = 0;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    ++number;
    if (line.empty()) {
      continue;
    }
    google::protobuf::util::JsonParseOptions options;
    options.ignore_unknown_fields = true;  // a newer aggregator's
    control::Decision decision;
    if (const auto status = google::protobuf::util::JsonStringToMessage(line, &decision, options); !status.ok()) {
      return absl::DataLossError(absl::StrCat(path.string(), ":", number, ": no decision: ", status.ToString()));
    }
    decisions.push_back(std::move(decision));
  }
  return decisions;
}

// Step times by step, of the job's metrics.jsonl; lines that are none are left out.
std::map<int64_t, double> StepSeconds(const std::string& metrics) {
  std::map<int64_t, double> seconds;
  for (const absl::string_view line : absl::StrSplit(metrics, '\n')) {
    const auto json = nlohmann::json::parse(line.begin(), line.end(), nullptr, /*allow_exceptions=*/false);
    const auto step = json.is_object() ? json.find("step") : json.end();
    const auto value = json.is_object() ? json.find("seconds") : json.end();
    if (step != json.end() && value != json.end() && step->is_number_integer() && value->is_number()) {
      seconds[step->get<int64_t>()] = value->get<double>();
    }
  }
  return seconds;
}

// What a step took between two plans: the median; the first step, in which clients have just changed, is left out.
double MedianSeconds(const std::map<int64_t, double>& seconds, int64_t after, int64_t until) {
  std::vector<double> values;
  for (auto step = seconds.upper_bound(after + 1); step != seconds.end() && step->first <= until; ++step) {
    values.push_back(step->second);
  }
  if (values.empty()) {
    return 0;
  }
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// `measured`: seconds of the steps that followed.
void AddRows(const control::Decision& decision, double measured, TextTable* table) {
  const control::PlanState& state = decision.state();
  // The upper half of the number says which operator led.
  std::vector<std::string> first = {
      std::to_string(state.number() & 0xffffffffU), std::to_string(state.step()),
      absl::StrCat(Step(decision.plan().seconds_now()), " -> ", Step(decision.plan().seconds_then())), Step(measured)};
  const auto add = [&](const std::string& who, const std::string& why) {
    first.push_back(who);
    first.push_back(why);
    table->rows.push_back(std::exchange(first, std::vector<std::string>(4)));
  };
  if (state.state() == control::PlanState::REFUSED) {
    return add("refused", state.message());
  }
  if (!decision.plan().reason().empty()) {
    add("all", decision.plan().reason());
  }
  for (const control::ClientPlan& client : decision.plan().clients()) {
    add(client.name(), client.reason());
  }
}

// What lower ranks cost, if anything: a line for people.
std::string Lost(const control::Decision& decision) {
  const double lost = decision.state().discarded_energy();
  char text[128];
  std::snprintf(text, sizeof(text), "step %lld: lower ranks cost the adapters that got them %.2g %% of their energy\n",
                static_cast<long long>(decision.state().step()), 100 * lost);
  return lost > 0 ? text : "";
}

void AddInputs(const control::Decision& decision, TextTable* table) {
  for (const control::ClientCosts& costs : decision.plan().costs()) {
    table->rows.push_back({std::to_string(decision.state().number() & 0xffffffffU), costs.name(),
                           std::to_string(costs.cut_layer()), costs.codec(),
                           std::to_string(decision.plan().microbatches_now()), Step(costs.block_forward_seconds()),
                           Step(costs.block_backward_seconds()), Step(costs.tail_seconds()),
                           scheduler::BandwidthText(costs.up_bytes_per_second()),
                           scheduler::BandwidthText(costs.down_bytes_per_second()), Step(costs.round_trip_seconds())});
  }
}

absl::Status Decisions(const Arguments& arguments, const CommandContext& context) {
  const fs::path folder = *arguments.positional();
  const fs::path path = folder / kLog;
  absl::StatusOr<std::string> text = ReadFile(path, kLargestLog);
  if (absl::IsNotFound(text.status()) && fs::exists(folder / kMetrics)) {
    context.out << "nothing was changed (spec.scheduling.policy: Static, or nothing to be gained)\n";
    return absl::OkStatus();
  }
  if (absl::IsNotFound(text.status())) {
    return UsageError(absl::StrCat("\"", folder.string(), "\" is no output folder of a job: it has no metrics.jsonl"));
  }
  SPLITFT_RETURN_IF_ERROR(text.status());
  if (arguments.Has("--json")) {
    context.out << *text;
    return absl::OkStatus();
  }
  SPLITFT_ASSIGN_OR_RETURN(const std::vector<control::Decision> decisions, Parse(path, *text));
  TextTable table{.header = {"PLAN", "STEP", "PREDICTED STEP", "MEASURED", "CLIENT", "WHY"},
                  .right_aligned = {false, true, false, true, false, false},
                  .rows = {}};
  TextTable inputs{.header = {"PLAN", "CLIENT", "CUT", "CODEC", "MICROBATCHES", "FORWARD", "BACKWARD", "TAIL", "UP",
                              "DOWN", "ROUND TRIP"},
                   .right_aligned = {false, false, true, false, true, true, true, true, true, true, true},
                   .rows = {}};
  const absl::StatusOr<std::string> metrics = ReadFile(folder / kMetrics, kLargestLog);
  const std::map<int64_t, double> seconds = StepSeconds(metrics.value_or(""));
  for (size_t i = 0; i < decisions.size(); ++i) {
    const int64_t until =
        i + 1 < decisions.size() ? decisions[i + 1].state().step() : std::numeric_limits<int64_t>::max();
    AddRows(decisions[i], MedianSeconds(seconds, decisions[i].state().step(), until), &table);
    AddInputs(decisions[i], &inputs);
  }
  if (!table.rows.empty()) {
    context.out << FormatTable(table);
  }
  for (const control::Decision& decision : decisions) {
    context.out << Lost(decision);
  }
  if (arguments.Has("--inputs")) {
    context.out << "\nSeconds of one block and of the tail, over a client's batch:\n" << FormatTable(inputs);
  }
  return absl::OkStatus();
}

}  // namespace

Command DecisionsCommand() { return {.spec = Spec(), .run = &Decisions}; }

}  // namespace splitft::cli
