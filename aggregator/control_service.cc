#include "aggregator/control_service.h"

namespace splitft::aggregator {
namespace {

bool IsLast(const control::JobEvent& event) {
  return event.phase() == control::COMPLETED || event.phase() == control::FAILED;
}

}  // namespace

// One watcher's stream. gRPC owns its life: OnDone is the last call.
class ControlService::Watcher final : public grpc::ServerWriteReactor<control::JobEvent> {
 public:
  explicit Watcher(ControlService& service) : service_(service) {}

  // Writes the job's state if it is newer than what was written and no write is under way. The lock is held over
  // StartWrite so that OnDone cannot delete this in between; gRPC never runs a reaction inside it.
  void WriteIfNewer() {
    service_.mutex_.AssertHeld();
    if (writing_ || finished_ || service_.version_ == written_) {
      return;
    }
    writing_ = true;
    written_ = service_.version_;
    event_ = service_.event_;
    StartWrite(&event_);
  }

  void OnWriteDone(bool ok) override {
    const MutexLock lock(service_.mutex_);
    writing_ = false;
    if (!ok || IsLast(event_)) {
      FinishOnce();
    } else {
      WriteIfNewer();
    }
  }

  void OnCancel() override {
    const MutexLock lock(service_.mutex_);
    FinishOnce();
  }

  void OnDone() override {
    {
      const MutexLock lock(service_.mutex_);
      service_.watchers_.erase(this);
    }
    delete this;
  }

 private:
  void FinishOnce() {
    if (!finished_) {
      finished_ = true;
      Finish(grpc::Status::OK);
    }
  }

  ControlService& service_;
  // Guarded by service_.mutex_; event_ is gRPC's while writing_.
  control::JobEvent event_;
  uint64_t written_ = 0;
  bool writing_ = false;
  bool finished_ = false;
};

// A stream that ends as it begins.
class ControlService::Refusal final : public grpc::ServerWriteReactor<control::JobEvent> {
 public:
  explicit Refusal(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

void ControlService::Publish(const control::JobEvent& event) {
  const MutexLock lock(mutex_);
  event_ = event;
  ++version_;
  for (Watcher* watcher : watchers_) {
    watcher->WriteIfNewer();
  }
}

grpc::ServerWriteReactor<control::JobEvent>* ControlService::Watch(grpc::CallbackServerContext* /*context*/,
                                                                   const control::WatchRequest* request) {
  if (!request->job_uid().empty() && request->job_uid() != job_uid_) {
    return new Refusal({grpc::StatusCode::NOT_FOUND, "this is another job's aggregator"});
  }
  auto* watcher = new Watcher(*this);
  const MutexLock lock(mutex_);
  watchers_.insert(watcher);
  watcher->WriteIfNewer();
  return watcher;
}

}  // namespace splitft::aggregator
