#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "libs/base/clock.h"

namespace splitft::cli {

// How a program ended, and what it wrote.
struct ProgramResult {
  int exit_code = -1;  // 128 + signal where one killed it; -1: it did not end in time and was killed
  std::string out;
  std::string err;

  // The last line of err.
  std::string LastError() const;
};

// A program under test. Its stdout and stderr go to files in `folder`, which must exist. Killed when destroyed.
class Program {
 public:
  Program(const std::vector<std::string>& words, const std::filesystem::path& folder,
          const std::vector<std::string>& environment = {});
  Program(const Program&) = delete;
  ~Program();

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;
  // What it wrote so far.
  std::string Out() const;
  std::string Err() const;
  ProgramResult Wait(Duration limit = std::chrono::seconds(30));

 private:
  const std::filesystem::path folder_;
  pid_t pid_ = -1;
};

// Runs to the end.
ProgramResult RunProgram(const std::vector<std::string>& words, const std::filesystem::path& folder,
                         const std::vector<std::string>& environment = {});

// The port in the log line "listening address=127.0.0.1:PORT"; 0 while it is not there.
int ListeningPort(const std::string& log);

// The processes whose command line mentions `text`; zombies have none.
std::vector<pid_t> ProcessesThatMention(const std::string& text);

// Polls until `condition` holds; false when it did not within `limit`.
template <typename Condition>
bool Eventually(Condition&& condition, Duration limit = std::chrono::seconds(20)) {
  for (Duration waited{}; waited < limit; waited += std::chrono::milliseconds(20)) {
    if (condition()) {
      return true;
    }
    SystemClock().SleepFor(std::chrono::milliseconds(20));
  }
  return condition();
}

}  // namespace splitft::cli
