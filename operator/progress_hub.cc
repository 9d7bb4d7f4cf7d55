#include "operator/progress_hub.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <optional>
#include <thread>
#include <utility>

#include "api/proto/control.grpc.pb.h"
#include "libs/kube/stoppable_wait.h"

namespace splitft::controller {
namespace {

// A stream that broke is opened again; the pod itself says when it has ended.
constexpr auto kAgainAfter = std::chrono::seconds(2);

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
         .codec = client.codec(),
         .step_seconds = client.head_forward_seconds() + client.tail_seconds() + client.head_backward_seconds()});
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
  for (size_t i = 0; i < now.clients.size(); ++i) {
    if (before.clients[i].connected != now.clients[i].connected) {
      return true;
    }
  }
  return false;
}

}  // namespace

// One aggregator's word, read by a thread of its own.
class ProgressHub::Stream {
 public:
  Stream(const Clock& clock, std::string pod_uid, std::string address, std::function<void(bool)> heard)
      : clock_(clock),
        pod_uid_(std::move(pod_uid)),
        address_(std::move(address)),
        heard_(std::move(heard)),
        reader_([this](const std::stop_token& stop) { Read(stop); }) {}
  ~Stream() {
    reader_.request_stop();
    const MutexLock lock(mutex_);
    if (context_ != nullptr) {
      context_->TryCancel();
    }
  }

  const std::string& pod_uid() const { return pod_uid_; }
  const std::string& address() const { return address_; }
  std::optional<ProgressView> view() const SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return view_;
  }

 private:
  void Read(const std::stop_token& stop) {
    while (!stop.stop_requested() && !ReadOnce(stop)) {
      kube::WaitUnlessStopped(clock_.Now() + kAgainAfter, stop);
    }
  }

  // True: the job has ended, and there is nothing more to hear.
  bool ReadOnce(const std::stop_token& stop) SPLITFT_EXCLUDES(mutex_) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    {
      const MutexLock lock(mutex_);
      if (stop.stop_requested()) {
        return true;
      }
      context_ = &context;
    }
    const auto stub =
        control::Control::NewStub(grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments));
    const auto call = stub->Watch(&context, control::WatchRequest());
    control::JobEvent event;
    bool ended = false;
    while (call->Read(&event)) {
      Take(event);
      ended = event.phase() == control::COMPLETED || event.phase() == control::FAILED;
    }
    static_cast<void>(call->Finish());
    const MutexLock lock(mutex_);
    context_ = nullptr;
    return ended;
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
    }
    heard_(news);
  }

  const Clock& clock_;
  const std::string pod_uid_;
  const std::string address_;
  const std::function<void(bool)> heard_;
  mutable Mutex mutex_;
  std::optional<ProgressView> view_ SPLITFT_GUARDED_BY(mutex_);
  grpc::ClientContext* context_ SPLITFT_GUARDED_BY(mutex_) = nullptr;  // of the call under way
  std::jthread reader_;                                                // last: it uses what is above
};

ProgressHub::ProgressHub(const Clock& clock, Listener listener) : clock_(clock), listener_(std::move(listener)) {}

ProgressHub::~ProgressHub() = default;

void ProgressHub::Follow(const kube::ObjectKey& job, const std::string& pod_uid, const std::string& address) {
  std::shared_ptr<Stream> former;  // ends outside the lock
  const MutexLock lock(mutex_);
  std::shared_ptr<Stream>& stream = streams_[job];
  if (stream != nullptr && stream->pod_uid() == pod_uid && stream->address() == address) {
    return;
  }
  former = std::exchange(
      stream, std::make_shared<Stream>(clock_, pod_uid, address, [this, job](bool news) { listener_(job, news); }));
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
  return found == streams_.end() || found->second->pod_uid() != pod_uid ? std::nullopt : found->second->view();
}

}  // namespace splitft::controller
