#include "cli/signal_inbox.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace splitft::cli {

absl::StatusOr<SignalInbox> SignalInbox::Open(const std::vector<int>& signals) {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (const int signal : signals) {
    ::sigaddset(&wanted, signal);
  }
  sigset_t former;
  ::pthread_sigmask(SIG_BLOCK, &wanted, &former);
  UniqueFd fd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) {
    return absl::InternalError(absl::StrCat("cannot open a signalfd: ", std::strerror(errno)));
  }
  return SignalInbox(std::move(fd), former);
}

SignalInbox::~SignalInbox() {
  if (fd_.valid()) {
    Take();  // what still waits was for the job that has just ended
    ::pthread_sigmask(SIG_SETMASK, &former_, nullptr);
  }
}

std::vector<int> SignalInbox::Take() const {
  std::vector<int> signals;
  signalfd_siginfo info{};
  while (::read(fd_.get(), &info, sizeof(info)) == sizeof(info)) {
    signals.push_back(static_cast<int>(info.ssi_signo));
  }
  return signals;
}

}  // namespace splitft::cli
