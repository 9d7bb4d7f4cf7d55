#include "operator/job_operator.h"

#include "libs/kube/client.h"
#include "libs/kube/event_recorder.h"
#include "libs/kube/stoppable_wait.h"
#include "operator/cluster_view.h"
#include "operator/progress_hub.h"
#include "operator/reconciler.h"

namespace splitft::controller {

void JobOperator::Run(const std::stop_token& stop) {
  kube::Client client(transport_, clock_, {});
  kube::EventRecorder events(client, clock_, {.controller = "splitft.io/operator", .instance = options_.identity});
  // Caches and aggregators feed the queue; the queue's workers read both.
  kube::WorkQueue* queue = nullptr;
  ClusterView view(transport_, clock_,
                   {.name_space = options_.name_space,
                    .machine = options_.watch,
                    .on_error =
                        [this](const absl::Status& error) {
                          log_.Warning("watch", {{"error", std::string(error.message())}});
                        }},
                   [&queue](const kube::ObjectKey& job) { queue->Add(job); });
  ProgressHub progress(clock_, [&queue](const kube::ObjectKey& job, bool news) {
    queue->AddAfter(job, news ? Duration::zero() : std::chrono::seconds(1));
  });
  Reconciler reconciler(
      {.client = client, .view = view, .progress = progress, .events = events, .clock = clock_, .log = log_},
      options_.settings);
  kube::Controller controller(clock_,
                              {.workers = options_.workers,
                               .queue = options_.queue,
                               .observer = [this](const kube::Controller::Outcome& outcome) { Note(outcome); }},
                              [&](const kube::ObjectKey& job) { return reconciler.Reconcile(job); });
  queue = &controller.queue();
  view.Start();
  while (!stop.stop_requested() && !view.WaitForSync(clock_.Now() + std::chrono::milliseconds(200))) {
  }
  if (!stop.stop_requested()) {
    log_.Info("synced", {{"jobs", view.jobs()}});
    controller.Start();
  }
  kube::WaitUnlessStopped(TimePoint::max(), stop);
  view.Stop();  // before the queue that it feeds
  controller.Stop();
  static_cast<void>(events.Flush(clock_.Now() + std::chrono::seconds(2)));
}

void JobOperator::Note(const kube::Controller::Outcome& outcome) const {
  if (!outcome.status.ok()) {
    log_.Warning("reconcile", {{"job", outcome.key.text()}, {"error", std::string(outcome.status.message())}});
  }
}

}  // namespace splitft::controller
