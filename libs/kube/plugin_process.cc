#include "libs/kube/plugin_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "libs/base/clock.h"
#include "libs/base/file.h"
#include "libs/base/status_macros.h"
#include "libs/kube/object.h"

extern char** environ;

namespace splitft::kube {
namespace {

constexpr size_t kOutputLimit = 1 << 20;
constexpr Duration kPatience = std::chrono::minutes(1);

std::vector<std::string> Environment(const ExecPlugin& plugin) {
  std::vector<std::string> variables;
  const auto is_replaced = [&](std::string_view variable) {
    return variable.starts_with("KUBERNETES_EXEC_INFO=") ||
           std::any_of(plugin.environment.begin(), plugin.environment.end(), [&](const auto& own) {
             return variable.starts_with(own.first) && variable.substr(own.first.size()).starts_with('=');
           });
  };
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (!is_replaced(*variable)) {
      variables.emplace_back(*variable);
    }
  }
  for (const auto& [name, value] : plugin.environment) {
    variables.push_back(absl::StrCat(name, "=", value));
  }
  const Json info = {{"kind", "ExecCredential"},
                     {"apiVersion", plugin.api_version},
                     {"spec", {{"interactive", ::isatty(STDIN_FILENO) == 1}}}};
  variables.push_back(absl::StrCat("KUBERNETES_EXEC_INFO=", info.dump()));
  return variables;
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) {
    pointers.push_back(word.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

struct Running {
  pid_t pid = -1;
  UniqueFd output;
};

absl::StatusOr<Running> Start(const ExecPlugin& plugin) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) {
    return ErrnoStatus(errno, "open a pipe to", plugin.command);
  }
  Running running{.output = UniqueFd(fds[0])};
  const UniqueFd write_end(fds[1]);
  std::vector<std::string> words = {plugin.command};
  words.insert(words.end(), plugin.arguments.begin(), plugin.arguments.end());
  std::vector<std::string> variables = Environment(plugin);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  const int error = ::posix_spawnp(&running.pid, plugin.command.c_str(), &actions, nullptr, Pointers(words).data(),
                                   Pointers(variables).data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return ErrnoStatus(error, "run the credential plugin", plugin.command);
  }
  return running;
}

// All that comes until the end of the output.
absl::StatusOr<std::string> ReadAll(int fd, TimePoint deadline) {
  std::string text;
  char bytes[4096];
  for (;;) {
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SystemClock().Now()).count();
    const int ready = left <= 0 ? 0 : ::poll(&wait, 1, static_cast<int>(left));
    if (ready == 0) {
      return absl::DeadlineExceededError(absl::StrCat("took over ", Seconds(kPatience), " s"));
    }
    const ssize_t got = ready < 0 ? -1 : ::read(fd, bytes, sizeof(bytes));
    if (got == 0) {
      return text;
    }
    if (got < 0 && errno != EINTR) {
      return absl::InternalError(std::strerror(errno));
    }
    text.append(bytes, static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (text.size() > kOutputLimit) {
      return absl::OutOfRangeError(absl::StrCat("wrote over ", kOutputLimit, " bytes"));
    }
  }
}

}  // namespace

absl::StatusOr<std::string> RunPlugin(const ExecPlugin& plugin) {
  SPLITFT_ASSIGN_OR_RETURN(const Running running, Start(plugin));
  absl::StatusOr<std::string> text = ReadAll(running.output.get(), SystemClock().Now() + kPatience);
  if (!text.ok()) {
    ::kill(running.pid, SIGKILL);
  }
  int status = 0;
  while (::waitpid(running.pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!text.ok()) {
    return absl::InternalError(
        absl::StrCat("credential plugin \"", plugin.command, "\" ", std::string(text.status().message())));
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return absl::InternalError(absl::StrCat(
        "credential plugin \"", plugin.command, "\" ended with ",
        WIFEXITED(status) ? absl::StrCat("code ", WEXITSTATUS(status)) : absl::StrCat("signal ", WTERMSIG(status))));
  }
  return text;
}

}  // namespace splitft::kube
