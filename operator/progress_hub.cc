#include "operator/progress_hub.h"

#include <grpcpp/alarm.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/proto/control.grpc.pb.h"
#include "libs/base/status_macros.h"
#include "libs/scheduler/pilot.h"
#include "operator/progress_view.h"

namespace splitft::controller {
namespace {

// A stream that broke is opened again; the pod itself says when it has ended.
constexpr auto kAgainAfter = std::chrono::milliseconds(2000);
constexpr auto kApplyPatience = std::chrono::milliseconds(10'000);
// Figures of one and the same step, so often read while the job went on, are old.
constexpr int kMostOfOneStep = 3;
// No scrape is ahead of the job; but of what both say the stream's word may come a moment later.
constexpr int64_t kStepsAhead = 5;

}  // namespace

// One aggregator's word. Its life is one call after the other, with pauses in between; gRPC's threads do it all, so
// that a thousand jobs need no thousand threads. gRPC runs no reaction within what is asked of it, so that both may be
// done under the lock.
class ProgressHub::Stream {
 public:
  Stream(const Clock& clock, Figures figures, Source source, std::function<void(bool)> heard)
      : clock_(clock),
        figures_(figures),
        since_(clock.WallTime()),
        source_(std::move(source)),
        heard_(std::move(heard)) {
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

  bool plans() const SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return pilot_.has_value() && (*source_.job)->scheduling.policy != spec::SchedulingPolicy::kStatic;
  }

  // What was read of the job elsewhere, or why nothing was.
  void Measure(const absl::StatusOr<JobSamples>& samples) SPLITFT_EXCLUDES(mutex_) {
    bool news = false;
    {
      const MutexLock lock(mutex_);
      if (!pilot_.has_value() || stopping_ || !view_.has_value() || view_->step == 0 || call_->ended()) {
        return;  // of a job that has not done a step there is nothing to be read
      }
      const absl::StatusOr<scheduler::StepFigures> figures = FiguresLocked(samples);
      if (figures.ok()) {
        SendLocked(pilot_->OnFigures(*figures, source_.job_uid));
      } else {
        pilot_->OnMissing(std::string(figures.status().message()));
      }
      ProgressView view = *view_;
      view.unknown = pilot_->unknown();
      news = IsNews(*view_, view);
      view_ = std::move(view);
    }
    if (news) {
      heard_(true);
    }
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
    std::atomic<bool> ended_ = false;  // the last event was the job's last
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
      FollowLocked(event);
      view.unknown = pilot_.has_value() ? pilot_->unknown() : "";
      news = news || (view_.has_value() && view_->unknown.empty() != view.unknown.empty());
      view_ = std::move(view);
    }
    heard_(news);
  }

  // Lets the scheduler see the event, and sends what it plans.
  void FollowLocked(const control::JobEvent& event) SPLITFT_REQUIRES(mutex_) {
    if (!pilot_.has_value() || stopping_) {
      return;
    }
    if (figures_ == Figures::kOfEvents) {
      SendLocked(pilot_->OnEvent(event, source_.job_uid));
    } else {
      pilot_->OnNews(event);
    }
    static_cast<void>(pilot_->TakeNews());  // the aggregator's next events say the same
  }

  // The figures that the samples hold, if they can be of this job as it is now.
  absl::StatusOr<scheduler::StepFigures> FiguresLocked(const absl::StatusOr<JobSamples>& samples)
      SPLITFT_REQUIRES(mutex_) {
    SPLITFT_RETURN_IF_ERROR(samples.status());
    SPLITFT_ASSIGN_OR_RETURN(scheduler::StepFigures figures, FiguresOf(*samples, **source_.job));
    const bool again = figures.step == measured_step_;
    times_measured_ = again && view_->step > figures.step ? times_measured_ + 1 : 1;
    measured_step_ = figures.step;
    if (figures.step > view_->step + kStepsAhead || times_measured_ > kMostOfOneStep) {
      return absl::UnavailableError(
          absl::StrCat("Prometheus' figures are of step ", figures.step, "; the job has done ", view_->step));
    }
    return figures;
  }

  void SendLocked(std::optional<control::Plan> plan) SPLITFT_REQUIRES(mutex_) {
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
  const Figures figures_;
  const WallTime since_;
  const Source source_;
  const std::function<void(bool)> heard_;
  mutable Mutex mutex_;
  CondVar changed_;
  std::optional<ProgressView> view_ SPLITFT_GUARDED_BY(mutex_);
  std::unique_ptr<Call> call_ SPLITFT_GUARDED_BY(mutex_);  // under way, or the last
  std::optional<scheduler::Pilot> pilot_ SPLITFT_GUARDED_BY(mutex_);
  std::unique_ptr<Applying> applying_ SPLITFT_GUARDED_BY(mutex_);
  int64_t measured_step_ SPLITFT_GUARDED_BY(mutex_) = 0;
  int times_measured_ SPLITFT_GUARDED_BY(mutex_) = 0;  // that step, one after the other, while the job went on
  std::optional<grpc::Alarm> pause_ SPLITFT_GUARDED_BY(mutex_);  // after the last call
  bool stopping_ SPLITFT_GUARDED_BY(mutex_) = false;
  bool over_ SPLITFT_GUARDED_BY(mutex_) = false;
};

ProgressHub::ProgressHub(const Clock& clock, Figures figures, Listener listener)
    : clock_(clock), figures_(figures), listener_(std::move(listener)) {}

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
  former = std::exchange(stream, std::make_shared<Stream>(clock_, figures_, std::move(next),
                                                          [this, job](bool news) { listener_(job, news); }));
}

void ProgressHub::Measured(const absl::StatusOr<MeasuredJobs>& jobs) {
  std::map<kube::ObjectKey, std::shared_ptr<Stream>> streams;
  {
    const MutexLock lock(mutex_);
    streams = streams_;
  }
  for (const auto& [job, stream] : streams) {
    if (!jobs.ok()) {
      stream->Measure(jobs.status());
    } else if (const auto found = jobs->find(job); found != jobs->end()) {
      stream->Measure(found->second);
    } else {
      stream->Measure(absl::NotFoundError("Prometheus has no series of this job"));
    }
  }
}

bool ProgressHub::PlansAny() const {
  const MutexLock lock(mutex_);
  return std::any_of(streams_.begin(), streams_.end(), [](const auto& stream) { return stream.second->plans(); });
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
