#include "cli/child_process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace splitft::cli {
namespace {

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

// The parent's environment with `added` in place of variables of the same name.
std::vector<std::string> MergeEnvironment(const std::vector<std::string>& added) {
  std::vector<std::string> merged = added;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view name = std::string_view(*entry).substr(0, std::string_view(*entry).find('=') + 1);
    if (std::none_of(added.begin(), added.end(), [&](const std::string& own) { return own.starts_with(name); })) {
      merged.emplace_back(*entry);
    }
  }
  return merged;
}

struct ChildPlan {
  const char* program;
  char* const* arguments;
  char* const* environment;
  int null_fd;
  int stderr_fd;
  int ready_fd;  // -1: none
  int error_fd;  // where errno goes when exec fails
  pid_t parent;
};

// Runs between fork and exec: async-signal-safe calls only, never returns.
[[noreturn]] void RunChild(const ChildPlan& plan) {
  // Nothing outlives the command, not even its SIGKILL. The parent may be gone already.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != plan.parent) {
    ::_exit(1);
  }
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD, SIGWINCH}) {
    ::signal(signal, SIG_DFL);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // A descriptor that already has its final number would keep close-on-exec: the plan's are all above kReadyFd.
  bool ready = ::dup2(plan.null_fd, 0) >= 0 && ::dup2(plan.null_fd, 1) >= 0 && ::dup2(plan.stderr_fd, 2) >= 0;
  if (plan.ready_fd >= 0) {
    ready = ready && ::dup2(plan.ready_fd, ChildProcess::kReadyFd) >= 0;
  }
  if (ready) {
    ::execve(plan.program, plan.arguments, plan.environment);
  }
  const int error = errno;
  const ssize_t written = ::write(plan.error_fd, &error, sizeof(error));
  ::_exit(written == sizeof(error) ? 127 : 126);
}

// A duplicate above the numbers the child uses, closed on exec.
absl::StatusOr<UniqueFd> OutOfTheWay(int fd) {
  UniqueFd moved(::fcntl(fd, F_DUPFD_CLOEXEC, 10));
  if (!moved.valid()) {
    return absl::InternalError(absl::StrCat("cannot duplicate a descriptor: ", std::strerror(errno)));
  }
  return moved;
}

struct PipeEnds {
  UniqueFd read;
  UniqueFd write;
};

absl::StatusOr<PipeEnds> OpenPipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) {
    return absl::InternalError(absl::StrCat("cannot open a pipe: ", std::strerror(errno)));
  }
  PipeEnds ends{.read = UniqueFd(fds[0]), .write = UniqueFd(fds[1])};
  SPLITFT_ASSIGN_OR_RETURN(ends.write, OutOfTheWay(ends.write.get()));
  return ends;
}

// The errno of a failed exec; 0 when the pipe closed without one, which exec does.
int ReadExecError(int fd) {
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::read(fd, &error, sizeof(error));
  } while (got < 0 && errno == EINTR);
  return got == sizeof(error) ? error : 0;
}

}  // namespace

std::vector<std::string> LineBuffer::Append(std::string_view bytes) {
  std::vector<std::string> completed;
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    partial_.append(piece.substr(0, kMaxLineBytes - std::min(kMaxLineBytes, partial_.size())));
    if (end == std::string_view::npos) {
      break;
    }
    bytes.remove_prefix(end + 1);
    for (std::string& line : Take(std::exchange(partial_, {}))) {
      completed.push_back(std::move(line));
    }
  }
  return completed;
}

std::vector<std::string> LineBuffer::Finish() { return Take(std::exchange(partial_, {})); }

std::vector<std::string> LineBuffer::Take(std::string line) {
  if (!line.empty() && line.back() == '\r') {
    line.pop_back();
  }
  if (line.empty()) {
    return {};
  }
  lines_.push_back(line);
  if (lines_.size() > kMaxLines) {
    lines_.pop_front();
  }
  return {std::move(line)};
}

absl::StatusOr<ChildProcess> ChildProcess::Start(Options options) {
  SPLITFT_ASSIGN_OR_RETURN(PipeEnds output, OpenPipe());
  SPLITFT_ASSIGN_OR_RETURN(PipeEnds failure, OpenPipe());
  const UniqueFd null_device(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null_device.valid()) {
    return ErrnoStatus(errno, "open", "/dev/null");
  }
  SPLITFT_ASSIGN_OR_RETURN(const UniqueFd null_fd, OutOfTheWay(null_device.get()));
  UniqueFd ready;
  if (options.ready.valid()) {
    SPLITFT_ASSIGN_OR_RETURN(ready, OutOfTheWay(options.ready.get()));
  }
  ::fcntl(output.read.get(), F_SETFL, O_NONBLOCK);

  std::string program = options.program.string();
  std::vector<std::string> words = {program};
  words.insert(words.end(), options.arguments.begin(), options.arguments.end());
  std::vector<std::string> environment = MergeEnvironment(options.environment);
  const std::vector<char*> word_pointers = Pointers(words);
  const std::vector<char*> environment_pointers = Pointers(environment);
  const ChildPlan plan{.program = program.c_str(),
                       .arguments = word_pointers.data(),
                       .environment = environment_pointers.data(),
                       .null_fd = null_fd.get(),
                       .stderr_fd = output.write.get(),
                       .ready_fd = ready.get(),
                       .error_fd = failure.write.get(),
                       .parent = ::getpid()};
  const pid_t pid = ::fork();
  if (pid == 0) {
    RunChild(plan);
  }
  if (pid < 0) {
    return absl::InternalError(absl::StrCat("cannot start \"", program, "\": ", std::strerror(errno)));
  }
  failure.write.Reset();
  UniqueFd exit_fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  ChildProcess child(pid, std::move(exit_fd), std::move(output.read));
  if (const int error = ReadExecError(failure.read.get()); error != 0) {
    return ErrnoStatus(error, "start", options.program);
  }
  if (!child.exit_fd_.valid()) {
    return absl::InternalError("cannot watch a process: pidfd_open needs Linux 5.3");
  }
  return child;
}

ChildProcess::ChildProcess(pid_t pid, UniqueFd exit_fd, UniqueFd stderr_fd)
    : pid_(pid), exit_fd_(std::move(exit_fd)), stderr_(std::move(stderr_fd)) {}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      exit_fd_(std::move(other.exit_fd_)),
      stderr_(std::move(other.stderr_)),
      buffer_(std::move(other.buffer_)),
      exit_(other.exit_) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    KillAndReap();
    pid_ = std::exchange(other.pid_, -1);
    exit_fd_ = std::move(other.exit_fd_);
    stderr_ = std::move(other.stderr_);
    buffer_ = std::move(other.buffer_);
    exit_ = other.exit_;
  }
  return *this;
}

ChildProcess::~ChildProcess() { KillAndReap(); }

std::vector<std::string> ChildProcess::ReadLines() {
  std::vector<std::string> lines;
  char bytes[4096];
  while (stderr_.valid()) {
    const ssize_t got = ::read(stderr_.get(), bytes, sizeof(bytes));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0 && errno == EAGAIN) {
      break;
    }
    std::vector<std::string> more =
        got > 0 ? buffer_.Append(std::string_view(bytes, static_cast<size_t>(got))) : buffer_.Finish();
    lines.insert(lines.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
    if (got <= 0) {
      stderr_.Reset();
    }
  }
  return lines;
}

void ChildProcess::Signal(int signal) const {
  if (pid_ > 0) {
    ::kill(pid_, signal);
  }
}

std::optional<ExitStatus> ChildProcess::Reap() {
  int status = 0;
  if (pid_ > 0 && ::waitpid(pid_, &status, WNOHANG) == pid_) {
    pid_ = -1;
    exit_fd_.Reset();
    exit_ = WIFSIGNALED(status) ? ExitStatus{.signal = WTERMSIG(status)} : ExitStatus{.code = WEXITSTATUS(status)};
  }
  return exit_;
}

void ChildProcess::KillAndReap() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }
}

}  // namespace splitft::cli
