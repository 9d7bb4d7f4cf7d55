#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "libs/base/clock.h"

namespace splitft::cli {

// How a process ended: by itself with `code`, or by `signal`.
struct ExitStatus {
  int code = 0;
  int signal = 0;  // 0: it ended by itself
  bool operator==(const ExitStatus&) const = default;
};

// How a job ended, for people and for main.
struct Verdict {
  int exit_code = 0;
  std::string cause;  // empty when done
  int process = -1;   // index of the process to blame, for showing its last lines; -1: none
};

// Decides what to do about a job's processes from what happened to them: whom to blame, and when to ask and to force
// the others to end. Pure: sees no process and no clock. The first process is the aggregator.
//
// The first failure is not always the cause: a worker that dies makes the aggregator lose a peer, and either exit may
// be seen first. So after a failure the others get `settle` to end by themselves; then the earliest failure with a
// cause of its own is blamed, before any kPeerLost.
class Supervisor {
 public:
  struct Options {
    std::vector<std::string> processes;            // names for people: "aggregator", "client bank"
    Duration settle = std::chrono::seconds(3);     // for the others to end by themselves after a failure
    Duration farewell = std::chrono::seconds(10);  // for the workers to end after the aggregator is done
    Duration terminate = std::chrono::seconds(5);  // between SIGTERM and SIGKILL
    Duration start = std::chrono::minutes(10);     // for the aggregator to listen
  };
  Supervisor(Options options, TimePoint now);

  void OnStart(int process);
  // A process that never started counts as ended. `error` is the process's own message (telemetry::ErrorLine) or its
  // last line, may be empty.
  void OnExit(int process, ExitStatus status, std::string error, TimePoint now);
  // The aggregator listens.
  void OnReady();
  // The aggregator said through its control service that the job failed, and why.
  void OnJobFailed(std::string message);
  // The user wants an end (SIGINT, SIGTERM, SIGHUP). The second time SIGKILL follows at once.
  void OnInterrupt(int signal, TimePoint now);

  enum class Action { kWait, kTerminate, kKill, kDone };
  struct Decision {
    Action action = Action::kWait;
    std::optional<TimePoint> deadline;  // when to ask again even if nothing happens
  };
  // What to do now. kTerminate and kKill are given once each, and concern every process that is running.
  Decision Decide(TimePoint now);

  bool running(int process) const { return Running(processes_[static_cast<size_t>(process)]); }
  // Whether the job is being ended.
  bool ending() const { return terminate_at_.has_value(); }
  // Valid when Decide said kDone.
  Verdict verdict() const;

 private:
  struct Process {
    std::string name;
    bool started = false;
    std::optional<ExitStatus> exit;
    std::string error;
    bool was_asked = false;  // to end, before it did
    int order = 0;           // of exit
  };

  static bool Running(const Process& process) { return process.started && !process.exit.has_value(); }
  bool AllEnded() const;
  bool AggregatorDone() const;
  // The process to blame, or -1.
  int Culprit() const;
  std::string CauseOf(const Process& process) const;

  const Options options_;
  std::vector<Process> processes_;
  TimePoint start_deadline_;
  bool ready_ = false;
  bool start_timed_out_ = false;
  int exits_ = 0;
  int interrupt_signal_ = 0;
  int interrupts_ = 0;
  std::string job_failure_;
  std::optional<TimePoint> settle_at_;     // when patience with the others ends
  std::optional<TimePoint> terminate_at_;  // when SIGTERM was sent
  bool killed_ = false;
};

}  // namespace splitft::cli
