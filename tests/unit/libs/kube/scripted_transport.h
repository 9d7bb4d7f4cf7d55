#pragma once

#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/base/clock.h"
#include "libs/base/mutex.h"
#include "libs/kube/stoppable_wait.h"
#include "libs/kube/transport.h"

namespace splitft::kube {

// Answers requests with what a test wrote down, in order, and keeps what it was asked. When the script is over a
// request is Unavailable, and a stream stays silent until it is stopped. Thread-safe.
class ScriptedTransport final : public Transport {
 public:
  struct Sent {
    Request request;
    Duration timeout{};  // of a stream its idle limit
    TimePoint at{};
  };
  // Pieces of a body, and how the stream ends after them; without an end it stays silent.
  struct Answers {
    std::vector<std::string> pieces;
    absl::Status end;
    bool ends = true;
  };

  // `clock` outlives the transport.
  explicit ScriptedTransport(const Clock& clock) : clock_(clock) {}

  void Answer(int status, const Json& body, std::string retry_after = "") {
    AnswerText(status, body.is_null() ? "" : body.dump(), std::move(retry_after));
  }
  void AnswerText(int status, std::string body, std::string retry_after = "") {
    const MutexLock lock(mutex_);
    answers_.push_back(Response{status, std::move(body), std::move(retry_after)});
  }
  void Fail(absl::Status error) {
    const MutexLock lock(mutex_);
    answers_.emplace_back(std::move(error));
  }
  void StreamOf(std::vector<std::string> pieces, absl::Status end = absl::OkStatus()) {
    const MutexLock lock(mutex_);
    streams_.push_back({std::move(pieces), std::move(end), true});
  }
  void OpenStreamOf(std::vector<std::string> pieces) {
    const MutexLock lock(mutex_);
    streams_.push_back({std::move(pieces), absl::OkStatus(), false});
  }

  absl::StatusOr<Response> Send(const Request& request, Duration timeout) override {
    const MutexLock lock(mutex_);
    sent_.push_back({request, timeout, clock_.Now()});
    if (answers_.empty()) {
      return absl::UnavailableError("the script is over");
    }
    absl::StatusOr<Response> answer = std::move(answers_.front());
    answers_.pop_front();
    return answer;
  }

  absl::Status Stream(const Request& request, Duration idle_limit, std::stop_token stop, const Sink& sink) override {
    Answers answers{.pieces = {}, .end = {}, .ends = false};
    {
      const MutexLock lock(mutex_);
      sent_.push_back({request, idle_limit, clock_.Now()});
      if (!streams_.empty()) {
        answers = std::move(streams_.front());
        streams_.pop_front();
      }
    }
    for (const std::string& piece : answers.pieces) {
      if (absl::Status taken = sink(piece); !taken.ok()) {
        return taken;
      }
    }
    if (answers.ends) {
      return answers.end;
    }
    WaitUnlessStopped(TimePoint::max(), stop);
    return absl::CancelledError("asked to stop");
  }

  std::vector<Sent> sent() const {
    const MutexLock lock(mutex_);
    return sent_;
  }

 private:
  const Clock& clock_;
  mutable Mutex mutex_;
  std::deque<absl::StatusOr<Response>> answers_ SPLITFT_GUARDED_BY(mutex_);
  std::deque<Answers> streams_ SPLITFT_GUARDED_BY(mutex_);
  std::vector<Sent> sent_ SPLITFT_GUARDED_BY(mutex_);
};

}  // namespace splitft::kube
