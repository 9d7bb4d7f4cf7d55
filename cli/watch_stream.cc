#include "cli/watch_stream.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/local_channel.h"

namespace splitft::cli {
absl::StatusOr<std::unique_ptr<WatchStream>> WatchStream::Open(const std::string& address) {
  UniqueFd wakeup(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wakeup.valid()) {
    return absl::InternalError(absl::StrCat("cannot open an eventfd: ", std::strerror(errno)));
  }
  return std::unique_ptr<WatchStream>(new WatchStream(address, std::move(wakeup)));
}

WatchStream::WatchStream(const std::string& address, UniqueFd wakeup)
    : wakeup_(std::move(wakeup)), context_(std::in_place), reader_([this, address] { Read(address); }) {}

WatchStream::~WatchStream() {
  {
    const MutexLock lock(mutex_);
    if (context_.has_value()) {
      context_->TryCancel();
    }
  }
  reader_.join();
}

std::vector<control::JobEvent> WatchStream::Take() {
  uint64_t count = 0;
  // Reset before the events are taken: what comes in between wakes once more.
  if (::read(wakeup_.get(), &count, sizeof(count)) < 0 && errno != EAGAIN) {
    return {};
  }
  const MutexLock lock(mutex_);
  std::vector<control::JobEvent> taken(std::make_move_iterator(events_.begin()),
                                       std::make_move_iterator(events_.end()));
  events_.clear();
  return taken;
}

void WatchStream::Read(const std::string& address) {
  grpc::ClientContext* context = nullptr;
  {
    const MutexLock lock(mutex_);
    context = &*context_;
  }
  {
    const std::unique_ptr<control::Control::Stub> stub = control::Control::NewStub(OpenLocalChannel(address));
    context->set_wait_for_ready(true);
    const auto call = stub->Watch(context, control::WatchRequest());
    control::JobEvent event;
    while (call->Read(&event)) {
      Put(std::move(event));
      event.Clear();
    }
    // How the call ended does not matter: the aggregator's exit says how the job did.
    static_cast<void>(call->Finish());
  }
  const MutexLock lock(mutex_);
  context_.reset();
}

void WatchStream::Put(control::JobEvent event) {
  {
    const MutexLock lock(mutex_);
    events_.push_back(std::move(event));
    if (events_.size() > kMostEvents) {
      events_.pop_front();
    }
  }
  const uint64_t one = 1;
  // An eventfd refuses only when it is readable anyway.
  [[maybe_unused]] const ssize_t written = ::write(wakeup_.get(), &one, sizeof(one));
}

}  // namespace splitft::cli
