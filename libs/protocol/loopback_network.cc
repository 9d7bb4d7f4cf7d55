#include "libs/protocol/loopback_network.h"

#include <deque>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/protocol/event_queue.h"

namespace splitft::protocol {

// One stream, seen by both ends.
class LoopbackNetwork::Link {
 public:
  Link(const Options& options, StreamId id, std::shared_ptr<EventQueue> events)
      : options_(options), id_(id), events_(std::move(events)) {}

  absl::Status SendUp(Frame frame, TimePoint deadline) SPLITFT_EXCLUDES(mutex_) {
    {
      const MutexLock lock(mutex_);
      while (!ended_ && in_server_ >= options_.up_frames) {
        if (!changed_.WaitUntil(mutex_, deadline) && !ended_ && in_server_ >= options_.up_frames) {
          return absl::DeadlineExceededError(
              absl::StrCat("the aggregator did not take ", in_server_, " frames before the deadline"));
        }
      }
      if (ended_) {
        return end_;
      }
      ++in_server_;
      events_->Push({id_, std::move(frame)});  // under the lock, so that nothing follows StreamClosed
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Frame> ReceiveDown(TimePoint deadline) SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    while (down_.empty() && !ended_) {
      if (!changed_.WaitUntil(mutex_, deadline) && down_.empty() && !ended_) {
        return absl::DeadlineExceededError("the aggregator sent nothing before the deadline");
      }
    }
    if (down_.empty()) {
      return end_;
    }
    Frame frame = std::move(down_.front());
    down_.pop_front();
    return frame;
  }

  absl::Status SendDown(Frame frame) SPLITFT_EXCLUDES(mutex_) {
    {
      const MutexLock lock(mutex_);
      if (ended_) {
        return absl::NotFoundError(absl::StrCat("stream ", id_, " has ended"));
      }
      if (down_.size() >= options_.down_frames) {
        return absl::ResourceExhaustedError(
            absl::StrCat("stream ", id_, " has ", down_.size(), " frames queued, the limit: the client does not read"));
      }
      down_.push_back(std::move(frame));
    }
    changed_.SignalAll();
    return absl::OkStatus();
  }

  // The server's program took one frame of this stream.
  void TakenUp() SPLITFT_EXCLUDES(mutex_) {
    {
      const MutexLock lock(mutex_);
      --in_server_;
    }
    changed_.SignalAll();
  }

  // The client closes: what it had not read is dropped.
  void EndByClient() SPLITFT_EXCLUDES(mutex_) {
    std::deque<Frame> dropped;  // payloads are freed after the lock
    {
      const MutexLock lock(mutex_);
      dropped.swap(down_);
      EndLocked(absl::OkStatus());
      end_ = absl::CancelledError("the stream was closed on this side");
    }
    changed_.SignalAll();
  }

  // The server closes: the client still reads what is queued, then why.
  void EndByServer(const absl::Status& status) SPLITFT_EXCLUDES(mutex_) {
    {
      const MutexLock lock(mutex_);
      if (ended_) {
        return;
      }
      end_ = status.ok() ? absl::UnavailableError("the aggregator ended the stream") : status;
      EndLocked(status);
    }
    changed_.SignalAll();
  }

 private:
  void EndLocked(const absl::Status& status) SPLITFT_REQUIRES(mutex_) {
    if (!ended_) {
      ended_ = true;
      events_->Push({id_, StreamClosed{status}});
    }
  }

  const Options options_;
  const StreamId id_;
  const std::shared_ptr<EventQueue> events_;

  Mutex mutex_;
  CondVar changed_;
  std::deque<Frame> down_ SPLITFT_GUARDED_BY(mutex_);
  size_t in_server_ SPLITFT_GUARDED_BY(mutex_) = 0;
  bool ended_ SPLITFT_GUARDED_BY(mutex_) = false;
  absl::Status end_ SPLITFT_GUARDED_BY(mutex_);  // what the client's calls return once ended_
};

class LoopbackNetwork::Stream final : public FrameStream {
 public:
  explicit Stream(std::shared_ptr<Link> link) : link_(std::move(link)) {}
  ~Stream() override { link_->EndByClient(); }

  absl::Status Send(Frame frame, TimePoint deadline) override { return link_->SendUp(std::move(frame), deadline); }
  absl::StatusOr<Frame> Receive(TimePoint deadline) override { return link_->ReceiveDown(deadline); }
  void Close() override { link_->EndByClient(); }

 private:
  const std::shared_ptr<Link> link_;
};

class LoopbackNetwork::Server final : public FrameServer {
 public:
  explicit Server(const Options& options) : options_(options), events_(std::make_shared<EventQueue>()) {}

  absl::StatusOr<std::shared_ptr<Link>> Open(std::string peer) SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (down_) {
      return absl::UnavailableError("the aggregator was shut down");
    }
    if (links_.size() >= options_.max_streams) {
      return absl::ResourceExhaustedError(absl::StrCat("the aggregator has ", links_.size(), " streams, the limit"));
    }
    const StreamId id = ++last_id_;
    auto link = std::make_shared<Link>(options_, id, events_);
    links_.emplace(id, link);
    events_->Push({id, StreamOpened{std::move(peer)}});
    return link;
  }

  absl::StatusOr<StreamEvent> Next(TimePoint deadline) override {
    absl::StatusOr<StreamEvent> event = events_->Pop(deadline);
    if (event.ok()) {
      if (std::holds_alternative<Frame>(event->what)) {
        if (const std::shared_ptr<Link> link = Find(event->stream); link != nullptr) {
          link->TakenUp();
        }
      } else if (std::holds_alternative<StreamClosed>(event->what)) {
        const MutexLock lock(mutex_);
        links_.erase(event->stream);
      }
    }
    return event;
  }

  absl::Status Send(StreamId stream, Frame frame) override {
    const std::shared_ptr<Link> link = Find(stream);
    if (link == nullptr) {
      return absl::NotFoundError(absl::StrCat("stream ", stream, " has ended"));
    }
    return link->SendDown(std::move(frame));
  }

  void Close(StreamId stream, absl::Status status) override {
    if (const std::shared_ptr<Link> link = Find(stream); link != nullptr) {
      link->EndByServer(status);
    }
  }

  void Shutdown(TimePoint) override {
    std::vector<std::shared_ptr<Link>> links;
    {
      const MutexLock lock(mutex_);
      down_ = true;
      for (auto& [id, link] : links_) {
        links.push_back(std::move(link));
      }
      links_.clear();
    }
    for (const std::shared_ptr<Link>& link : links) {
      link->EndByServer(absl::OkStatus());
    }
    events_->Close();
  }

 private:
  std::shared_ptr<Link> Find(StreamId stream) SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    const auto found = links_.find(stream);
    return found == links_.end() ? nullptr : found->second;
  }

  const Options options_;
  const std::shared_ptr<EventQueue> events_;

  Mutex mutex_;
  std::map<StreamId, std::shared_ptr<Link>> links_ SPLITFT_GUARDED_BY(mutex_);
  StreamId last_id_ SPLITFT_GUARDED_BY(mutex_) = 0;
  bool down_ SPLITFT_GUARDED_BY(mutex_) = false;
};

LoopbackNetwork::LoopbackNetwork() : LoopbackNetwork(Options()) {}
LoopbackNetwork::LoopbackNetwork(const Options& options) : server_(std::make_unique<Server>(options)) {}
LoopbackNetwork::~LoopbackNetwork() { server_->Shutdown(TimePoint::min()); }

FrameServer& LoopbackNetwork::server() { return *server_; }

absl::StatusOr<std::unique_ptr<FrameStream>> LoopbackNetwork::Connect(std::string peer) {
  absl::StatusOr<std::shared_ptr<Link>> link = server_->Open(std::move(peer));
  if (!link.ok()) {
    return link.status();
  }
  return std::make_unique<Stream>(*std::move(link));
}

}  // namespace splitft::protocol
