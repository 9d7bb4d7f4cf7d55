#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/spec/job.h"

namespace splitft::cli {

// What a job's metrics.jsonl adds up to.
struct RunTotals {
  int64_t steps = 0;
  int64_t averaged_steps = 0;  // that each of the two losses is a mean of: at most ten, at most half of the steps
  double first_loss = 0;
  double last_loss = 0;
  std::optional<double> eval_loss;  // the last
  int64_t tokens = 0;
  int64_t bytes_up = 0;
  int64_t bytes_down = 0;
};

// InvalidArgument, with the line's number, where a line is no metrics record.
absl::StatusOr<RunTotals> AddUpMetrics(std::string_view jsonl);

struct RunResult {
  const spec::FineTuneJob& job;
  RunTotals totals;
  Duration elapsed{};
  std::filesystem::path working_directory;  // paths below it are shown relative to it
  std::string program;                      // as the user called it
};

// The last event of --json: {"event":"completed",...}, without a line break.
std::string CompletedJson(const std::string& output, const RunTotals& totals, Duration elapsed);

// The last lines of a run that succeeded: what was made, and what to try next.
std::string FormatRunSummary(const RunResult& result);

}  // namespace splitft::cli
