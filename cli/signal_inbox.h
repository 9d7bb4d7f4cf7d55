#pragma once

#include <csignal>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/file.h"

namespace splitft::cli {

// Signals as something to poll() for. While it lives, its signals are blocked in this thread and in threads started
// after it.
class SignalInbox {
 public:
  static absl::StatusOr<SignalInbox> Open(const std::vector<int>& signals);
  SignalInbox(SignalInbox&&) noexcept = default;
  SignalInbox& operator=(SignalInbox&&) = delete;
  ~SignalInbox();

  // Readable when a signal waits.
  int fd() const { return fd_.get(); }
  // The signals that came since the last call, without waiting.
  std::vector<int> Take() const;

 private:
  SignalInbox(UniqueFd fd, const sigset_t& former) : fd_(std::move(fd)), former_(former) {}

  UniqueFd fd_;
  sigset_t former_;
};

}  // namespace splitft::cli
