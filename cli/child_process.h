#pragma once

#include <sys/types.h>

#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/supervisor.h"
#include "libs/base/file.h"

namespace splitft::cli {

// What a process wrote last: the newest lines, bounded in number and length. Feed it bytes as they come.
class LineBuffer {
 public:
  static constexpr size_t kMaxLines = 50;
  static constexpr size_t kMaxLineBytes = 4096;

  // Takes bytes; returns the lines they complete.
  std::vector<std::string> Append(std::string_view bytes);
  // The unfinished last line counts as a line from now on; returns it where there is one.
  std::vector<std::string> Finish();
  const std::deque<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> Take(std::string line);

  std::deque<std::string> lines_;
  std::string partial_;
};

// A running program: owns the process and the read end of its stderr. Destroying it kills and reaps the process.
// The process dies with the thread that started it (PR_SET_PDEATHSIG): start it from the main thread.
class ChildProcess {
 public:
  struct Options {
    std::filesystem::path program;
    std::vector<std::string> arguments;    // without the program's name
    std::vector<std::string> environment;  // "NAME=value", added to the parent's own
    UniqueFd ready;                        // passed on as descriptor kReadyFd where valid
  };
  static constexpr int kReadyFd = 3;

  // NotFound: the program is not there. Internal: no process or descriptor is to be had. The child's stdin and stdout
  // are /dev/null, its signal mask and dispositions the default ones.
  static absl::StatusOr<ChildProcess> Start(Options options);
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  // Readable when the process has ended; -1 after Reap said so.
  int exit_fd() const { return exit_fd_.get(); }
  // Non-blocking; -1 after its end was read.
  int stderr_fd() const { return stderr_.get(); }

  // Reads what lies on stderr without waiting; returns the lines completed by it.
  std::vector<std::string> ReadLines();
  const std::deque<std::string>& last_lines() const { return buffer_.lines(); }

  // Sends `signal`; does nothing when the process has ended.
  void Signal(int signal) const;
  // How it ended, without waiting; nullopt while it runs. Reaps it the first time.
  std::optional<ExitStatus> Reap();

 private:
  ChildProcess(pid_t pid, UniqueFd exit_fd, UniqueFd stderr_fd);
  void KillAndReap();

  pid_t pid_ = -1;  // -1: moved from, or reaped
  UniqueFd exit_fd_;
  UniqueFd stderr_;
  LineBuffer buffer_;
  std::optional<ExitStatus> exit_;
};

}  // namespace splitft::cli
