#include "aggregator/control_service.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace splitft::aggregator {
namespace {

constexpr char kAnother[] = "this is another job's aggregator";

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
  if (IsAnother(request->job_uid())) {
    return new Refusal({grpc::StatusCode::NOT_FOUND, kAnother});
  }
  auto* watcher = new Watcher(*this);
  const MutexLock lock(mutex_);
  watchers_.insert(watcher);
  watcher->WriteIfNewer();
  return watcher;
}

void ControlService::Describe(const std::string& job_uid, PlanCheck check) {
  job_uid_ = job_uid;
  check_ = std::move(check);
}

absl::Status ControlService::Offer(const control::Plan& plan) {
  if (IsAnother(plan.job_uid())) {
    return absl::NotFoundError(kAnother);
  }
  if (!check_) {
    return absl::UnimplementedError("this job takes no plans");
  }
  if (absl::Status checked = check_(plan); !checked.ok()) {
    return checked;
  }
  const MutexLock lock(mutex_);
  if (plan.number() <= last_plan_) {
    return absl::FailedPreconditionError(
        absl::StrCat("plan: number is ", plan.number(), "; expected more than ", last_plan_, ", the last one"));
  }
  last_plan_ = plan.number();
  plan_ = plan;
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* ControlService::Apply(grpc::CallbackServerContext* context, const control::Plan* plan,
                                                control::PlanAccepted* /*accepted*/) {
  const absl::Status status = Offer(*plan);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish({static_cast<grpc::StatusCode>(status.code()), std::string(status.message())});
  return reactor;
}

std::optional<control::Plan> ControlService::TakePlan() {
  const MutexLock lock(mutex_);
  return std::exchange(plan_, std::nullopt);
}

}  // namespace splitft::aggregator
