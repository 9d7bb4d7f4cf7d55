#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/adaptive_loop.h"
#include "cli/child_process.h"
#include "cli/progress.h"
#include "cli/run_reporter.h"
#include "cli/signal_inbox.h"
#include "cli/supervisor.h"
#include "cli/watch_stream.h"
#include "libs/base/clock.h"
#include "libs/spec/job.h"

namespace splitft::cli {

// Runs one job's processes from start to end: starts them, feeds what happens to the Supervisor and the RunReporter,
// and does what the Supervisor decides. One thread, one poll() loop (beside the one that WatchStream reads with).
class RunSession {
 public:
  struct Options {
    std::filesystem::path programs;  // the folder of splitft-aggregator and splitft-worker
    std::filesystem::path manifest;  // the canonical manifest the processes read
    std::filesystem::path output;
    int port = 0;  // of the aggregator on loopback; 0: any
    int aggregator_threads = 1;
    int worker_threads = 1;
    bool verbose = false;  // show the processes' own lines
  };
  // `job`, `reporter` and `clock` must outlive the session.
  RunSession(Options options, const spec::FineTuneJob& job, RunReporter& reporter, const Clock& clock);

  // Runs the job to its end; no process is left when it returns. An error means that nothing could be started.
  absl::StatusOr<Verdict> Run();

  // The last lines of process `index` (0 is the aggregator), for telling why it ended.
  std::vector<std::string> LastLines(int index) const;

 private:
  absl::Status StartAggregator();
  void StartWorkers(const std::string& address);
  void StartWorker(int index, const std::string& address);
  // Waits until something happens or `deadline`.
  void Wait(std::optional<TimePoint> deadline);
  void TakeSignals();
  void TakeReady();
  void TakeEvents();
  void TakeOutput();
  void TakeExits();
  void SignalAll(int signal);
  std::string ErrorOf(int index) const;

  const Options options_;
  const spec::FineTuneJob& job_;
  RunReporter& reporter_;
  const Clock& clock_;
  Supervisor supervisor_;
  Progress progress_;
  std::optional<SignalInbox> signals_;
  UniqueFd ready_;  // until the aggregator listens
  std::string ready_text_;
  std::vector<std::optional<ChildProcess>> processes_;  // 0: the aggregator; empty: not started
  std::vector<bool> reaped_;
  std::unique_ptr<WatchStream> watch_;
  std::optional<AdaptiveLoop> adaptive_;  // once the aggregator listens
};

}  // namespace splitft::cli
