#include "tests/support/kube/api_server.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/base/status_macros.h"

namespace splitft {
namespace {

constexpr char kScript[] = SPLITFT_SOURCE_DIR "/tests/support/kube/api_level.sh";
constexpr Duration kLimit = std::chrono::minutes(3);

// What a program writes to, without a file that somebody would have to remove.
class Sink {
 public:
  Sink() : fd_(::memfd_create("sink", MFD_CLOEXEC)) {}
  int fd() const { return fd_.get(); }
  std::string Contents() const { return ReadFile(absl::StrCat("/proc/self/fd/", fd()), 64 << 20).value_or(""); }

 private:
  const UniqueFd fd_;
};

// Starts the program. Internal where it cannot be started.
absl::StatusOr<pid_t> Spawn(const std::vector<std::string>& words, const Sink& out, const Sink& err) {
  std::vector<char*> argv;
  for (const std::string& word : words) {
    argv.push_back(const_cast<char*>(word.c_str()));
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.fd(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, err.fd(), STDERR_FILENO);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return ErrnoStatus(error, "run", argv[0]);
  }
  return pid;
}

// Its exit code, or 128 + signal. One that takes longer than kLimit is killed.
int Await(pid_t pid) {
  int status = 0;
  const TimePoint deadline = SystemClock().Now() + kLimit;
  while (::waitpid(pid, &status, WNOHANG) == 0) {
    if (SystemClock().Now() > deadline) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, &status, 0);
      break;
    }
    SystemClock().SleepFor(std::chrono::milliseconds(5));
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

// Runs `api_level.sh command folder words...` and returns what it printed.
absl::StatusOr<std::string> RunScript(const std::filesystem::path& folder, const std::string& command,
                                      const std::vector<std::string>& words = {}) {
  std::vector<std::string> line{kScript, command, folder.string()};
  line.insert(line.end(), words.begin(), words.end());
  const Sink out;
  const Sink err;
  SPLITFT_ASSIGN_OR_RETURN(const pid_t pid, Spawn(line, out, err));
  if (const int code = Await(pid); code != 0) {
    return absl::InternalError(absl::StrCat(absl::StrJoin(line, " "), " ended with ", code, ": ", err.Contents()));
  }
  return out.Contents();
}

}  // namespace

absl::StatusOr<std::unique_ptr<TestApiServer>> TestApiServer::Start() {
  std::string folder = (std::filesystem::temp_directory_path() / "splitft_kube_XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) {
    return ErrnoStatus(errno, "create", folder);
  }
  const absl::Status status = RunScript(folder, "up", {"--owner-pid", absl::StrCat(::getpid())}).status();
  if (!status.ok()) {
    ::rmdir(folder.c_str());  // stays where it holds the logs that the error names
    return status;
  }
  return std::unique_ptr<TestApiServer>(new TestApiServer(folder));
}

TestApiServer::~TestApiServer() { RunScript(folder_, "down").IgnoreError(); }

absl::StatusOr<std::string> TestApiServer::Kubectl(const std::vector<std::string>& words) const {
  return RunScript(folder_, "kubectl", words);
}

absl::Status TestApiServer::Kill() { return RunScript(folder_, "kill-api").status(); }

absl::Status TestApiServer::Restart() { return RunScript(folder_, "start-api").status(); }

}  // namespace splitft
