#include "operator/progress_hub.h"

#include <grpcpp/alarm.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "api/proto/control.grpc.pb.h"
#include "libs/scheduler/pilot.h"

namespace splitft::controller {
namespace {

// A stream that broke is opened again; the pod itself says when it has ended.
constexpr auto kAgainAfter = std::chrono::milliseconds(2000);
constexpr auto kApplyPatience = std::chrono::milliseconds(10'000);

ProgressView ViewOf(const control::JobEvent& event, WallTime changed) {
  ProgressView view{.phase = control::Phase_Name(event.phase()),
                    .step = event.step(),
                    .total_steps = event.total_steps(),
                    .message = event.message(),
                    .changed = changed};
  if (event.has_figures()) {
    view.loss = event.figures().loss();
    view.step_seconds = event.figures().seconds();
    view.step_tokens = event.figures().tokens();
    if (event.figures().has_eval_loss()) {
      view.eval_loss = event.figures().eval_loss();
    }
  }
  for (const control::ClientState& client : event.clients()) {
    view.clients.push_back(
        {.name = client.name(),
         .connected = client.connected(),
         .cut_layer = client.cut_layer(),
         .rank = client.rank(),
         .codec = client.codec(),
         .step_seconds = client.head_forward_seconds() + client.tail_seconds() + client.head_backward_seconds(),
         .plan = client.plan(),
         .reason = client.reason()});
  }
  if (event.has_plan()) {
    view.plan = PlanView{.number = event.plan().number(),
                         .state = control::PlanState::State_Name(event.plan().state()),
                         .step = event.plan().step(),
                         .message = event.plan().message()};
  }
  return view;
}

// What the next event does not repeat: figures come once per step.
void KeepFigures(const ProgressView& before, ProgressView* view) {
  if (view->step_seconds == 0) {
    view->loss = before.loss;
    view->step_seconds = before.step_seconds;
    view->step_tokens = before.step_tokens;
  }
  if (!view->eval_loss.has_value()) {
    view->eval_loss = before.eval_loss;
  }
}

bool IsNews(const ProgressView& before, const ProgressView& now) {
  if (before.phase != now.phase || before.clients.size() != now.clients.size()) {
    return true;
  }
  const auto outcome = [](const ProgressView& view) {
    return view.plan.has_value() ? std::pair(view.plan->number, view.plan->state)
                                 : std::pair(uint64_t{0}, std::string());
  };
  if (outcome(before) != outcome(now)) {
    return true;
  }
  for (size_t i = 0; i < now.clients.size(); ++i) {
    if (before.clients[i].connected != now.clients[i].connected) {
      return true;
    }
  }
  return false;
}

}  // namespace

// One aggregator's word. Its life is one call after the other, with pauses in between; gRPC's threads do it all, so
// that a thousand jobs need no thousand threads. gRPC runs no reaction within what is asked of it, so that both may be
// done under the lock.
class ProgressHub::Stream {
 public:
  Stream(const Clock& clock, Source source, std::function<void(bool)> heard)
      : clock_(clock), since_(clock.WallTime()), source_(std::move(source)), heard_(std::move(heard)) {
    const MutexLock lock(mutex_);
    if (source_.job != nullptr && source_.job->ok()) {
      pilot_.emplace(**source_.job, source_.first_plan);
    }
    StartCallLocked();
  }
  // Waits until gRPC has let go of it.
  ~Stream() {
    Stop();
    const MutexLock lock(mutex_);
    while (!over_ || applying_ != nullptr) {
      changed_.WaitUntil(mutex_, TimePoint::max());
    }
  }

  const Source& source() const { return source_; }
  WallTime since() const { return since_; }
  std::optional<ProgressView> view() const SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return view_;
  }

  // The number of the last plan that was made; 0 where nothing is planned.
  uint64_t last_plan() const SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return pilot_.has_value() ? pilot_->last_number() : 0;
  }

  // There will be no other call.
  void Stop() SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    stopping_ = true;
    if (call_ != nullptr) {
      call_->Cancel();
    }
    if (pause_.has_value()) {
      pause_->Cancel();
    }
    if (applying_ != nullptr) {
      applying_->context.TryCancel();
    }
  }

 private:
  // A plan on its way to the aggregator.
  struct Applying {
    grpc::ClientContext context;
    control::Plan plan;
    control::PlanAccepted accepted;
  };

  class Call final : public grpc::ClientReadReactor<control::JobEvent> {
   public:
    Call(Stream& stream, const std::shared_ptr<grpc::Channel>& channel)
        : stream_(stream), stub_(control::Control::NewStub(channel)) {
      request_.set_job_uid(stream.source_.job_uid);
    }
    void Start() {
      context_.set_wait_for_ready(true);
      stub_->async()->Watch(&context_, &request_, this);
      StartRead(&event_);
      StartCall();
    }
    void Cancel() { context_.TryCancel(); }
    control::Control::Stub& stub() { return *stub_; }
    bool ended() const { return ended_; }

    void OnReadDone(bool ok) override {
      if (ok) {
        ended_ = event_.phase() == control::COMPLETED || event_.phase() == control::FAILED;
        stream_.Take(event_);
        StartRead(&event_);
      }
    }
    void OnDone(const grpc::Status& /*status*/) override { stream_.AfterCall(*this); }

   private:
    Stream& stream_;
    const std::unique_ptr<control::Control::Stub> stub_;
    grpc::ClientContext context_;
    control::WatchRequest request_;
    control::JobEvent event_;
    bool ended_ = false;  // the last event was the job's last
  };

  void StartCallLocked() SPLITFT_REQUIRES(mutex_) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    // A connection that the network forgot is found out, and made anew: an aggregator's silence is no stall. It asks us
    // every 40 s (GrpcLimits), and to answer costs less than to ask; so we ask only where it does not.
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 45'000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 15'000);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
    arguments.SetInt(GRPC_ARG_MAX_CHANNEL_TRACE_EVENT_MEMORY_PER_NODE, 0);
    call_ = std::make_unique<Call>(
        *this, grpc::CreateCustomChannel(source_.address, grpc::InsecureChannelCredentials(), arguments));
    call_->Start();
  }

  // gRPC's last word about a call, which it does not touch any more.
  void AfterCall(const Call& call) SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (stopping_ || call.ended()) {
      EndLocked();  // there is nothing more to hear
      return;
    }
    pause_.emplace().Set(
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(kAgainAfter.count(), GPR_TIMESPAN)),
        [this](bool /*in_time*/) { AfterPause(); });
  }

  void AfterPause() SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    stopping_ ? EndLocked() : StartCallLocked();
  }

  void EndLocked() SPLITFT_REQUIRES(mutex_) {
    over_ = true;
    changed_.SignalAll();
  }

  void Take(const control::JobEvent& event) SPLITFT_EXCLUDES(mutex_) {
    bool news = true;
    {
      const MutexLock lock(mutex_);
      const WallTime now = clock_.WallTime();
      ProgressView view = ViewOf(event, now);
      if (view_.has_value()) {
        KeepFigures(*view_, &view);
        news = IsNews(*view_, view);
        if (!news && view.step == view_->step) {
          view.changed = view_->changed;
        }
      }
      view_ = std::move(view);
      FollowLocked(event);
    }
    heard_(news);
  }

  // Lets the scheduler see the event, and sends what it plans.
  void FollowLocked(const control::JobEvent& event) SPLITFT_REQUIRES(mutex_) {
    if (!pilot_.has_value() || stopping_) {
      return;
    }
    std::optional<control::Plan> plan = pilot_->OnEvent(event, source_.job_uid);
    static_cast<void>(pilot_->TakeNews());  // the aggregator's next events say the same
    if (!plan.has_value()) {
      return;
    }
    if (applying_ != nullptr) {  // it hangs: the next round comes
      pilot_->NotSent();
      return;
    }
    applying_ = std::make_unique<Applying>();
    applying_->plan = *std::move(plan);
    applying_->context.set_deadline(
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(kApplyPatience.count(), GPR_TIMESPAN)));
    call_->stub().async()->Apply(&applying_->context, &applying_->plan, &applying_->accepted,
                                 [this](const grpc::Status& status) { AfterApply(status.ok()); });
  }

  void AfterApply(bool accepted) SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    if (!accepted) {
      pilot_->NotSent();
    }
    applying_.reset();
    changed_.SignalAll();
  }

  const Clock& clock_;
  const WallTime since_;
  const Source source_;
  const std::function<void(bool)> heard_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::optional<ProgressView> view_ SPLITFT_GUARDED_BY(mutex_);
  std::unique_ptr<Call> call_ SPLITFT_GUARDED_BY(mutex_);  // under way, or the last
  std::optional<scheduler::Pilot> pilot_ SPLITFT_GUARDED_BY(mutex_);
  std::unique_ptr<Applying> applying_ SPLITFT_GUARDED_BY(mutex_);
  std::optional<grpc::Alarm> pause_ SPLITFT_GUARDED_BY(mutex_);  // after the last call
  bool stopping_ SPLITFT_GUARDED_BY(mutex_) = false;
  bool over_ SPLITFT_GUARDED_BY(mutex_) = false;
};

ProgressHub::ProgressHub(const Clock& clock, Listener listener) : clock_(clock), listener_(std::move(listener)) {}

ProgressHub::~ProgressHub() {
  const MutexLock lock(mutex_);
  for (const auto& [job, stream] : streams_) {
    stream->Stop();  // all of them, before the first is waited for
  }
}

void ProgressHub::Follow(const kube::ObjectKey& job, const Source& source) {
  std::shared_ptr<Stream> former;  // ends outside the lock
  const MutexLock lock(mutex_);
  std::shared_ptr<Stream>& stream = streams_[job];
  if (stream != nullptr && stream->source() == source) {
    return;
  }
  // Numbers go on over a job's aggregators: a status that has told of one does not tell of its namesake.
  Source next = source;
  if (stream != nullptr && stream->source().job_uid == source.job_uid) {
    next.first_plan = std::max(next.first_plan, stream->last_plan() + 1);
  }
  former = std::exchange(
      stream, std::make_shared<Stream>(clock_, std::move(next), [this, job](bool news) { listener_(job, news); }));
}

void ProgressHub::Forget(const kube::ObjectKey& job) {
  std::shared_ptr<Stream> former;
  const MutexLock lock(mutex_);
  if (const auto found = streams_.find(job); found != streams_.end()) {
    former = std::move(found->second);
    streams_.erase(found);
  }
}

std::optional<ProgressView> ProgressHub::Get(const kube::ObjectKey& job, const std::string& pod_uid) const {
  const MutexLock lock(mutex_);
  const auto found = streams_.find(job);
  return found == streams_.end() || found->second->source().pod_uid != pod_uid ? std::nullopt : found->second->view();
}

std::optional<WallTime> ProgressHub::Since(const kube::ObjectKey& job, const std::string& pod_uid) const {
  const MutexLock lock(mutex_);
  const auto found = streams_.find(job);
  return found == streams_.end() || found->second->source().pod_uid != pod_uid ? std::nullopt
                                                                               : std::optional(found->second->since());
}

}  // namespace splitft::controller
