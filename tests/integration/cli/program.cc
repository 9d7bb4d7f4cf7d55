#include "tests/integration/cli/program.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "absl/strings/numbers.h"
#include "libs/base/file.h"

namespace splitft::cli {
namespace {

std::string Contents(const std::filesystem::path& path) { return ReadFile(path, 64 << 20).value_or(""); }

}  // namespace

std::string ProgramResult::LastError() const {
  const size_t end = err.find_last_not_of('\n');
  if (end == std::string::npos) {
    return "";
  }
  const size_t begin = err.rfind('\n', end);
  return err.substr(begin == std::string::npos ? 0 : begin + 1, end - (begin == std::string::npos ? 0 : begin + 1) + 1);
}

Program::Program(const std::vector<std::string>& words, const std::filesystem::path& folder,
                 const std::vector<std::string>& environment)
    : folder_(folder) {
  std::vector<char*> argv;
  for (const std::string& word : words) {
    argv.push_back(const_cast<char*>(word.c_str()));
  }
  argv.push_back(nullptr);
  const std::string out = folder / "stdout";
  const std::string err = folder / "stderr";
  pid_ = ::fork();
  if (pid_ == 0) {
    for (const std::string& variable : environment) {
      ::putenv(const_cast<char*>(variable.c_str()));
    }
    ::dup2(::open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), STDOUT_FILENO);
    ::dup2(::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), STDERR_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(126);
  }
}

Program::~Program() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

void Program::Signal(int signal) const { ::kill(pid_, signal); }

std::string Program::Out() const { return Contents(folder_ / "stdout"); }

std::string Program::Err() const { return Contents(folder_ / "stderr"); }

ProgramResult Program::Wait(Duration limit) {
  int status = 0;
  const bool ended = Eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; }, limit);
  ProgramResult result{.out = Out(), .err = Err()};
  if (ended) {
    result.exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    pid_ = -1;
  }
  return result;
}

ProgramResult RunProgram(const std::vector<std::string>& words, const std::filesystem::path& folder,
                         const std::vector<std::string>& environment) {
  return Program(words, folder, environment).Wait();
}

int ListeningPort(const std::string& log) {
  const std::string before = "address=127.0.0.1:";
  const size_t begin = log.find(before);
  if (begin == std::string::npos) {
    return 0;
  }
  const size_t digits = begin + before.size();
  int port = 0;
  return absl::SimpleAtoi(log.substr(digits, log.find_first_of(" \n", digits) - digits), &port) ? port : 0;
}

std::vector<pid_t> ProcessesThatMention(const std::string& text) {
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid) || pid == ::getpid()) {
      continue;
    }
    // A file of /proc has no size: read what there is.
    const UniqueFd fd(::open((entry.path() / "cmdline").c_str(), O_RDONLY | O_CLOEXEC));
    std::string line(65536, '\0');
    const ssize_t got = fd.valid() ? ::read(fd.get(), line.data(), line.size()) : 0;
    line.resize(got > 0 ? static_cast<size_t>(got) : 0);
    if (line.find(text) != std::string::npos) {
      found.push_back(pid);
    }
  }
  return found;
}

}  // namespace splitft::cli
