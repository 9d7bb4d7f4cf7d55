#include "cli/supervisor.h"

#include <algorithm>
#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "libs/telemetry/exit.h"

namespace splitft::cli {
namespace {

using telemetry::ExitCode;

bool Failed(const ExitStatus& status) { return status.code != 0 || status.signal != 0; }

// A failure that some other process caused.
bool IsConsequence(const ExitStatus& status) {
  return status.signal == 0 && status.code == static_cast<int>(ExitCode::kPeerLost);
}

// The codes a program of ours ends with are passed on; anything else is a failed job.
int PassedOn(const ExitStatus& status) {
  const bool ours = status.signal == 0 && status.code >= static_cast<int>(ExitCode::kJobFailed) &&
                    status.code <= static_cast<int>(ExitCode::kPeerLost);
  return ours ? status.code : static_cast<int>(ExitCode::kJobFailed);
}

std::string DescribeSignal(int signal) {
  std::string text = absl::StrCat("was killed by signal ", signal, " (", ::strsignal(signal));
  if (signal == SIGKILL) {
    text += "; out of memory?";
  }
  return text + ")";
}

}  // namespace

Supervisor::Supervisor(Options options, TimePoint now)
    : options_(std::move(options)), start_deadline_(now + options_.start) {
  for (const std::string& name : options_.processes) {
    processes_.push_back({.name = name});
  }
}

void Supervisor::OnStart(int process) { processes_[static_cast<size_t>(process)].started = true; }

void Supervisor::OnExit(int process, ExitStatus status, std::string error, TimePoint now) {
  Process& ended = processes_[static_cast<size_t>(process)];
  ended.exit = status;
  ended.error = std::move(error);
  ended.was_asked = ending();
  ended.order = exits_++;
  if (!settle_at_.has_value() && Failed(status)) {
    settle_at_ = now + options_.settle;
  } else if (!settle_at_.has_value() && AggregatorDone()) {
    settle_at_ = now + options_.farewell;
  }
}

void Supervisor::OnReady() { ready_ = true; }

void Supervisor::OnJobFailed(std::string message) { job_failure_ = std::move(message); }

void Supervisor::OnInterrupt(int signal, TimePoint now) {
  ++interrupts_;
  // Once a failure is being settled, that failure stays the cause.
  if (interrupt_signal_ == 0 && Culprit() < 0) {
    interrupt_signal_ = signal;
  }
  settle_at_ = now;
}

Supervisor::Decision Supervisor::Decide(TimePoint now) {
  if (AllEnded()) {
    return {.action = Action::kDone};
  }
  if (!ready_ && !settle_at_.has_value() && now >= start_deadline_) {
    start_timed_out_ = true;
    settle_at_ = now;
  }
  if (terminate_at_.has_value()) {
    const TimePoint kill_at = *terminate_at_ + options_.terminate;
    if (killed_) {
      return {};
    }
    if (now >= kill_at || interrupts_ > 1) {
      killed_ = true;
      return {.action = Action::kKill};
    }
    return {.deadline = kill_at};
  }
  if (settle_at_.has_value() && now >= *settle_at_) {
    terminate_at_ = now;
    return {.action = Action::kTerminate, .deadline = now + options_.terminate};
  }
  if (settle_at_.has_value()) {
    return {.deadline = settle_at_};
  }
  return {.deadline = ready_ ? std::nullopt : std::optional(start_deadline_)};
}

Verdict Supervisor::verdict() const {
  if (interrupt_signal_ != 0) {
    return {.exit_code = 128 + interrupt_signal_, .cause = "interrupted"};
  }
  const int culprit = Culprit();
  if (culprit >= 0) {
    const Process& process = processes_[static_cast<size_t>(culprit)];
    // The aggregator said why the job failed, and a worker's end is only what followed.
    if (culprit > 0 && IsConsequence(*process.exit) && !job_failure_.empty()) {
      return {.exit_code = static_cast<int>(ExitCode::kJobFailed),
              .cause = absl::StrCat(processes_[0].name, ": ", job_failure_),
              .process = 0};
    }
    return {.exit_code = PassedOn(*process.exit), .cause = CauseOf(process), .process = culprit};
  }
  if (start_timed_out_) {
    return {.exit_code = static_cast<int>(ExitCode::kJobFailed),
            .cause = absl::StrCat("the aggregator did not listen within ",
                                  std::chrono::duration_cast<std::chrono::seconds>(options_.start).count(), " s"),
            .process = 0};
  }
  if (!AggregatorDone()) {
    return {.exit_code = static_cast<int>(ExitCode::kJobFailed),
            .cause = job_failure_.empty() ? std::string("the aggregator did not finish") : job_failure_,
            .process = 0};
  }
  return {};
}

bool Supervisor::AllEnded() const { return std::none_of(processes_.begin(), processes_.end(), &Running); }

bool Supervisor::AggregatorDone() const { return processes_[0].exit.has_value() && !Failed(*processes_[0].exit); }

int Supervisor::Culprit() const {
  int best = -1;
  for (size_t i = 0; i < processes_.size(); ++i) {
    const Process& process = processes_[i];
    // What a process does after it was told to end says nothing about the cause.
    if (!process.exit.has_value() || !Failed(*process.exit) || process.was_asked) {
      continue;
    }
    if (best < 0) {
      best = static_cast<int>(i);
      continue;
    }
    const Process& champion = processes_[static_cast<size_t>(best)];
    const bool own = !IsConsequence(*process.exit);
    const bool champion_own = !IsConsequence(*champion.exit);
    if (own != champion_own ? own : process.order < champion.order) {
      best = static_cast<int>(i);
    }
  }
  return best;
}

std::string Supervisor::CauseOf(const Process& process) const {
  if (process.exit->signal != 0) {
    // A crash has last words; what somebody else killed was saying is beside the point.
    const bool crashed = process.exit->signal != SIGKILL && process.exit->signal != SIGTERM;
    const std::string last =
        crashed && !process.error.empty() ? absl::StrCat("; its last line: ", process.error) : std::string();
    return absl::StrCat(process.name, " ", DescribeSignal(process.exit->signal), last);
  }
  if (!process.error.empty()) {
    return absl::StrCat(process.name, ": ", process.error);
  }
  if (&process == &processes_[0] && !job_failure_.empty()) {
    return absl::StrCat(process.name, ": ", job_failure_);
  }
  return absl::StrCat(process.name, " ended with exit code ", process.exit->code, " without saying why");
}

}  // namespace splitft::cli
