#include "cli/run_session.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/telemetry/exit.h"

namespace splitft::cli {
namespace {

constexpr char kAggregator[] = "splitft-aggregator";
constexpr char kWorker[] = "splitft-worker";

Supervisor::Options SupervisorOptions(const spec::FineTuneJob& job) {
  Supervisor::Options options{.processes = {"aggregator"}};
  for (const spec::Client& client : job.clients) {
    options.processes.push_back(absl::StrCat("client ", client.name));
  }
  return options;
}

std::vector<Progress::ClientStart> ClientStarts(const spec::FineTuneJob& job) {
  std::vector<Progress::ClientStart> starts;
  for (const spec::Client& client : job.clients) {
    starts.push_back({.name = client.name, .cut_layer = client.cut_layer});
  }
  return starts;
}

std::vector<std::string> Environment(int threads) {
  // Threads that wait for work must sleep soon: the processes take turns on the same cores. But not at once: between
  // two products they wait a few microseconds. Memory that a step frees the next one takes again: giving it back to the
  // kernel in between costs some 2 %, and small pages as much again.
  return {absl::StrCat("OMP_NUM_THREADS=", threads), "GOMP_SPINCOUNT=10000",
          "GLIBC_TUNABLES=glibc.malloc.trim_threshold=1073741824:glibc.malloc.mmap_threshold=33554432:"
          "glibc.malloc.hugetlb=1",
          "GRPC_VERBOSITY=NONE"};
}

}  // namespace

RunSession::RunSession(Options options, const spec::FineTuneJob& job, RunReporter& reporter, const Clock& clock)
    : options_(std::move(options)),
      job_(job),
      reporter_(reporter),
      clock_(clock),
      supervisor_(SupervisorOptions(job), clock.Now()),
      progress_(job.name, ClientStarts(job), clock.Now()),
      processes_(job.clients.size() + 1),
      reaped_(job.clients.size() + 1, false) {}

absl::StatusOr<Verdict> RunSession::Run() {
  SPLITFT_ASSIGN_OR_RETURN(SignalInbox signals, SignalInbox::Open({SIGINT, SIGTERM, SIGHUP, SIGWINCH}));
  signals_.emplace(std::move(signals));
  SPLITFT_RETURN_IF_ERROR(StartAggregator());
  for (;;) {
    const TimePoint now = clock_.Now();
    const Supervisor::Decision decision = supervisor_.Decide(now);
    if (decision.action == Supervisor::Action::kDone) {
      break;
    }
    if (decision.action == Supervisor::Action::kTerminate) {
      SignalAll(SIGTERM);
    } else if (decision.action == Supervisor::Action::kKill) {
      SignalAll(SIGKILL);
    }
    const std::optional<Duration> tick = reporter_.OnTick(progress_.View(now), now);
    std::optional<TimePoint> deadline = decision.deadline;
    if (tick.has_value()) {
      deadline = std::min(deadline.value_or(now + *tick), now + *tick);
    }
    Wait(deadline);
    // Signals first: what the processes do after a Ctrl-C is its consequence.
    TakeSignals();
    TakeReady();
    TakeEvents();
    TakeOutput();
    TakeExits();
  }
  TakeEvents();
  watch_.reset();
  const TimePoint now = clock_.Now();
  reporter_.OnTick(progress_.View(now), now + std::chrono::seconds(1));
  return supervisor_.verdict();
}

std::vector<std::string> RunSession::LastLines(int index) const {
  const std::optional<ChildProcess>& process = processes_[static_cast<size_t>(index)];
  return process.has_value() ? std::vector<std::string>(process->last_lines().begin(), process->last_lines().end())
                             : std::vector<std::string>();
}

absl::Status RunSession::StartAggregator() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) {
    return absl::InternalError(absl::StrCat("cannot open a pipe: ", std::strerror(errno)));
  }
  ready_ = UniqueFd(fds[0]);
  UniqueFd write_end(fds[1]);
  ::fcntl(ready_.get(), F_SETFL, O_NONBLOCK);
  SPLITFT_ASSIGN_OR_RETURN(
      processes_[0],
      ChildProcess::Start(
          {.program = options_.programs / kAggregator,
           .arguments = {"--job", options_.manifest.string(), "--listen", absl::StrCat("127.0.0.1:", options_.port),
                         "--output", options_.output.string(), "--ready-fd", absl::StrCat(ChildProcess::kReadyFd),
                         "--threads", absl::StrCat(options_.aggregator_threads)},
           .environment = Environment(options_.aggregator_threads),
           .ready = std::move(write_end)}));
  supervisor_.OnStart(0);
  return absl::OkStatus();
}

void RunSession::StartWorkers(const std::string& address) {
  if (options_.verbose) {
    reporter_.OnLine(absl::StrCat("the aggregator listens on ", address));
  }
  for (size_t i = 1; i < processes_.size(); ++i) {
    StartWorker(static_cast<int>(i), address);
  }
  // The processes come first: fork() must not meet the threads of gRPC.
  absl::StatusOr<std::unique_ptr<WatchStream>> watch = WatchStream::Open(address);
  if (watch.ok()) {
    watch_ = *std::move(watch);
    adaptive_.emplace(job_, address);
  } else {
    reporter_.OnLine(absl::StrCat("no progress will be shown: ", std::string(watch.status().message())));
  }
}

void RunSession::StartWorker(int index, const std::string& address) {
  const auto slot = static_cast<size_t>(index);
  absl::StatusOr<ChildProcess> worker =
      ChildProcess::Start({.program = options_.programs / kWorker,
                           .arguments = {"--job", options_.manifest.string(), "--client", job_.clients[slot - 1].name,
                                         "--aggregator", address, "--threads", absl::StrCat(options_.worker_threads)},
                           .environment = Environment(options_.worker_threads)});
  supervisor_.OnStart(index);
  if (worker.ok()) {
    processes_[slot] = *std::move(worker);
    return;
  }
  reaped_[slot] = true;
  supervisor_.OnExit(index, {.code = static_cast<int>(telemetry::ExitCode::kJobFailed)},
                     std::string(worker.status().message()), clock_.Now());
}

void RunSession::Wait(std::optional<TimePoint> deadline) {
  std::vector<pollfd> waits;
  const auto watch = [&waits](int fd) {
    if (fd >= 0) {
      waits.push_back({.fd = fd, .events = POLLIN});
    }
  };
  watch(signals_->fd());
  watch(ready_.get());
  watch(watch_ == nullptr ? -1 : watch_->fd());
  for (const std::optional<ChildProcess>& process : processes_) {
    if (process.has_value()) {
      watch(process->exit_fd());
      watch(process->stderr_fd());
    }
  }
  int timeout_ms = -1;
  if (deadline.has_value()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - clock_.Now());
    timeout_ms = static_cast<int>(std::clamp<int64_t>(left.count(), 0, 60'000));
  }
  // Whatever poll says, every source is looked at without waiting.
  ::poll(waits.data(), waits.size(), timeout_ms);
}

void RunSession::TakeSignals() {
  for (const int signal : signals_->Take()) {
    if (signal == SIGWINCH) {
      reporter_.OnProgress(progress_.View(clock_.Now()));
      continue;
    }
    reporter_.OnLine(supervisor_.ending() ? "ending at once" : "interrupted: waiting for the processes to end");
    supervisor_.OnInterrupt(signal, clock_.Now());
  }
}

void RunSession::TakeReady() {
  char bytes[256];
  const ssize_t got = ready_.valid() ? ::read(ready_.get(), bytes, sizeof(bytes)) : -1;
  if (got < 0) {
    return;
  }
  ready_text_.append(bytes, static_cast<size_t>(got));
  const size_t end = ready_text_.find('\n');
  if (got == 0 || end != std::string::npos || ready_text_.size() > sizeof(bytes)) {
    ready_.Reset();
  }
  if (end != std::string::npos && !supervisor_.ending()) {
    supervisor_.OnReady();
    StartWorkers(ready_text_.substr(0, end));
  }
}

void RunSession::TakeEvents() {
  if (watch_ == nullptr) {
    return;
  }
  for (const control::JobEvent& event : watch_->Take()) {
    const TimePoint now = clock_.Now();
    progress_.Add(event, now);
    for (const std::string& line : adaptive_->OnEvent(event)) {
      reporter_.OnLine(line);
    }
    if (event.phase() == control::FAILED) {
      supervisor_.OnJobFailed(event.message());
    }
    reporter_.OnProgress(progress_.View(now));
  }
}

void RunSession::TakeOutput() {
  for (size_t i = 0; i < processes_.size(); ++i) {
    if (!processes_[i].has_value()) {
      continue;
    }
    for (const std::string& line : processes_[i]->ReadLines()) {
      if (options_.verbose) {
        reporter_.OnLine(absl::StrCat(i == 0 ? std::string("aggregator") : job_.clients[i - 1].name, " | ", line));
      }
    }
  }
}

void RunSession::TakeExits() {
  for (size_t i = 0; i < processes_.size(); ++i) {
    if (!processes_[i].has_value() || reaped_[i]) {
      continue;
    }
    const std::optional<ExitStatus> exit = processes_[i]->Reap();
    if (!exit.has_value()) {
      continue;
    }
    // Its last words may have come between the last look at its stderr and its end.
    TakeOutput();
    reaped_[i] = true;
    supervisor_.OnExit(static_cast<int>(i), *exit, ErrorOf(static_cast<int>(i)), clock_.Now());
  }
}

void RunSession::SignalAll(int signal) {
  for (const std::optional<ChildProcess>& process : processes_) {
    if (process.has_value()) {
      process->Signal(signal);
    }
  }
}

std::string RunSession::ErrorOf(int index) const {
  const std::deque<std::string>& lines = processes_[static_cast<size_t>(index)]->last_lines();
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    if (const std::string_view message = telemetry::ErrorMessage(index == 0 ? kAggregator : kWorker, *line);
        !message.empty()) {
      return std::string(message);
    }
  }
  return lines.empty() ? "" : lines.back();
}

}  // namespace splitft::cli
