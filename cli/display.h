#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "cli/progress.h"

namespace splitft::cli {

// What the terminal can show.
struct DisplayStyle {
  size_t width = 80;
  size_t height = 24;
  bool color = false;
  bool unicode = true;  // otherwise ASCII only
};

// The live display: a line for the job, one per client with where its time goes, a progress line. Each line is at most
// style.width - 1 columns (so that no terminal wraps it) and there are at most style.height - 1; columns and then
// clients are left out where there is no room. Pure.
std::vector<std::string> RenderDisplay(const JobView& view, const DisplayStyle& style);

// "step 50/200  loss 3.2143  eval 3.3012  3,412 tokens/s  0:31 left".
std::string ProgressText(const JobView& view);

// "waiting for clients", "training", ...
std::string PhaseName(control::Phase phase);
// The same; of a job that waits for clients that were lost, "waiting for bank, hospital".
std::string PhaseText(const JobView& view);

// Chooses which steps get a line where there is no terminal: the first, the last, and at most `most_lines` between, so
// that a long job's log stays short.
class PlainProgress {
 public:
  explicit PlainProgress(int64_t most_lines = 50) : most_lines_(most_lines) {}
  // The line to print for the view after an event, if any: a change of phase or a step whose turn it is.
  std::optional<std::string> Next(const JobView& view);

 private:
  const int64_t most_lines_;
  std::string phase_ = PhaseName(control::PHASE_UNSPECIFIED);  // as it was last printed, or silently passed
  int64_t printed_step_ = 0;
};

}  // namespace splitft::cli
