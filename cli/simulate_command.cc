#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/job_checks.h"
#include "cli/text_format.h"
#include "libs/base/file.h"
#include "libs/base/status_macros.h"
#include "libs/simulation/simulate.h"

namespace splitft::cli {
namespace {

constexpr size_t kMostPlans = 20;    // that are shown
constexpr size_t kMostChanges = 12;  // of one plan
constexpr size_t kChartWidth = 60;

CommandSpec Spec() {
  return {.name = "simulate",
          .summary = "Ask what a fleet of clients would do: step times, plans, policies side by side",
          .details =
              "Runs the job that FLEET.yaml describes on a simulated fleet, under its own scheduling and, for "
              "comparison, under the others: the real scheduler and the real round state machine, without a model. "
              "docs/simulation.md has the fields.",
          .positional = "FLEET.yaml",
          .flags = {{.name = "--steps", .value_name = "N", .help = "instead of training.steps"}},
          .examples = {
              {.command = "splitft simulate examples/fleet.yaml", .what = "three clients, one of which slows down"}}};
}

std::string Seconds3(double seconds) {
  char text[32];
  std::snprintf(text, sizeof(text), seconds < 1000 ? "%.3f" : "%.0f", seconds);
  return text;
}

// Step times from first to last, each column the mean of its share of the steps.
std::string Chart(const std::vector<double>& values) {
  static constexpr std::array kBars = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const double highest = *std::max_element(values.begin(), values.end());
  const size_t width = std::min(kChartWidth, values.size());
  std::string chart;
  for (size_t column = 0; column < width; ++column) {
    const size_t begin = column * values.size() / width;
    const size_t end = std::max(begin + 1, (column + 1) * values.size() / width);
    double sum = 0;
    for (size_t i = begin; i < end; ++i) {
      sum += values[i];
    }
    const double share = sum / static_cast<double>(end - begin) / highest;
    chart += kBars.at(static_cast<size_t>(std::clamp(share * 8 - 1e-9, 0.0, 7.0)));
  }
  return chart;
}

void ShowPlans(const simulation::Course& run, bool is_static, std::ostream& out) {
  TextTable table{
      .header = {"STEP", "PREDICTED STEP", "CLIENT", "WHY"}, .right_aligned = {true, false, false, false}, .rows = {}};
  for (size_t i = 0; i < run.plans.size() && i < kMostPlans; ++i) {
    const scheduler::Plan& plan = run.plans[i];
    const std::string step = std::to_string(plan.step);
    const std::string seconds = absl::StrCat(Seconds3(plan.seconds_now), " -> ", Seconds3(plan.seconds_then), " s");
    bool first = true;
    if (!plan.reason.empty()) {
      table.rows.push_back({step, seconds, "all", plan.reason});
      first = false;
    }
    for (size_t c = 0; c < plan.changes.size() && c < kMostChanges; ++c) {
      const scheduler::Change& change = plan.changes[c];
      table.rows.push_back({first ? step : "", first ? seconds : "", change.client, change.reason});
      first = false;
    }
    if (plan.changes.size() > kMostChanges) {
      table.rows.push_back({"", "", "...", absl::StrCat("and ", plan.changes.size() - kMostChanges, " more")});
    }
  }
  if (run.plans.empty()) {
    out << (is_static ? "Policy Static: nothing is planned.\n"
                      : "No plan, since none was due or would have paid for itself.\n");
    return;
  }
  out << FormatTable(table);
  if (run.plans.size() > kMostPlans) {
    out << "and " << Plural(static_cast<int64_t>(run.plans.size() - kMostPlans), "plan") << " more\n";
  }
}

// "1 to 6, half of them above 3".
std::string CutsText(const std::vector<scheduler::Choice>& choices) {
  std::vector<int> cuts;
  for (const scheduler::Choice& choice : choices) {
    cuts.push_back(choice.cut_layer);
  }
  std::sort(cuts.begin(), cuts.end());
  if (cuts.front() == cuts.back()) {
    return std::to_string(cuts.front());
  }
  return absl::StrCat(cuts.front(), " to ", cuts.back(), ", median ", cuts[cuts.size() / 2]);
}

absl::Status Simulate(const Arguments& arguments, const CommandContext& context) {
  const std::filesystem::path path = *arguments.positional();
  SPLITFT_ASSIGN_OR_RETURN(const std::string yaml, ReadFile(path, simulation::kFleetLimitBytes));
  absl::StatusOr<simulation::Fleet> parsed = simulation::ParseFleet(yaml);
  if (!parsed.ok()) {
    return ProblemsOf(path, parsed.status());
  }
  simulation::Fleet fleet = *std::move(parsed);
  SPLITFT_ASSIGN_OR_RETURN(fleet.job.training.steps,
                           arguments.Integer("--steps", fleet.job.training.steps, 1, 1'000'000));
  const simulation::Course run = simulation::Simulate(fleet);
  context.out << Plural(static_cast<int64_t>(fleet.job.clients.size()), "client") << ", "
              << FormatCount(fleet.job.training.steps) << " steps\n\n";
  ShowPlans(run, fleet.job.scheduling.policy == spec::SchedulingPolicy::kStatic, context.out);
  context.out << "\nstep time  " << Chart(run.step_seconds) << "  "
              << Seconds3(*std::max_element(run.step_seconds.begin(), run.step_seconds.end())) << " s at most\n\n";

  using enum spec::SchedulingPolicy;
  static constexpr std::array kNames = {"Static", "Makespan", "Budget", "SplitFT"};
  const spec::SchedulingPolicy own = fleet.job.scheduling.policy;
  TextTable table{
      .header = {"POLICY", "ALL STEPS", "LAST STEP", "AGGREGATOR BUSY", "PLANS", "MICROBATCHES", "CUTS AT THE END"},
      .right_aligned = {false, true, true, true, true, true, false},
      .rows = {}};
  for (const spec::SchedulingPolicy policy : {own, kMakespan, kSplitFt, kStatic}) {
    if (policy == own && !table.rows.empty()) {
      continue;
    }
    fleet.job.scheduling.policy = policy;
    const simulation::Course other = policy == own ? run : simulation::Simulate(fleet);
    table.rows.push_back({kNames.at(static_cast<size_t>(policy)), absl::StrCat(Seconds3(other.seconds), " s"),
                          absl::StrCat(Seconds3(other.step_seconds.back()), " s"),
                          absl::StrCat(Seconds3(other.server_seconds), " s"), std::to_string(other.plans.size()),
                          std::to_string(other.arrangement.microbatches), CutsText(other.arrangement.clients)});
  }
  context.out << FormatTable(table);
  if (run.restarts > 0) {
    context.out << "\nClients were lost " << Plural(run.restarts, "time")
                << "; the others waited, and the step was started over.\n";
  }
  return absl::OkStatus();
}

}  // namespace

Command SimulateCommand() { return {.spec = Spec(), .run = &Simulate}; }

}  // namespace splitft::cli
