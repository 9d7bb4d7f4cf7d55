#include "operator/job_operator.h"

#include <memory>

#include "libs/kube/client.h"
#include "libs/kube/event_recorder.h"
#include "libs/kube/stoppable_wait.h"
#include "operator/progress_hub.h"
#include "operator/reconciler.h"

namespace splitft::controller {

void JobOperator::Run(const std::stop_token& stop) {
  kube::Client client(parts_.transport, parts_.clock, {});
  kube::EventRecorder events(client, parts_.clock,
                             {.controller = "splitft.io/operator", .instance = options_.identity});
  // Caches and aggregators feed the queue; the queue's workers read both.
  kube::WorkQueue* queue = nullptr;
  ClusterView view(parts_.transport, parts_.clock, ViewOptions(),
                   [&queue](const kube::ObjectKey& job) { queue->Add(job); });
  const auto figures = parts_.figures == nullptr ? ProgressHub::Figures::kOfEvents : ProgressHub::Figures::kMeasured;
  auto progress = std::make_unique<ProgressHub>(parts_.clock, figures, [&queue](const kube::ObjectKey& job, bool news) {
    queue->AddAfter(job, news ? Duration::zero() : std::chrono::seconds(1));
  });
  // The upper half of a plan's number says who leads, the lower half counts.
  const uint64_t first_plan = (static_cast<uint64_t>(options_.term) << 32) + 1;
  Reconciler reconciler({.client = client,
                         .view = view,
                         .progress = *progress,
                         .events = events,
                         .clock = parts_.clock,
                         .log = parts_.log},
                        {.settings = options_.settings, .first_plan = first_plan});
  kube::Controller controller(parts_.clock,
                              {.workers = options_.workers,
                               .queue = options_.queue,
                               .observer = [this](const kube::Controller::Outcome& outcome) { Note(outcome); }},
                              [&](const kube::ObjectKey& job) { return reconciler.Reconcile(job); });
  queue = &controller.queue();
  const OperatorMetrics::Work work(parts_.metrics, *queue, view);
  view.Start();
  while (!stop.stop_requested() && !view.WaitForSync(parts_.clock.Now() + std::chrono::milliseconds(200))) {
  }
  if (!stop.stop_requested()) {
    parts_.log.Info("synced", {{"jobs", view.jobs()}});
    controller.Start();
  }
  if (parts_.figures != nullptr) {
    parts_.figures->Attach(*progress);
  }
  kube::WaitUnlessStopped(TimePoint::max(), stop);
  view.Stop();  // before the queue that it feeds
  controller.Stop();
  if (parts_.figures != nullptr) {
    parts_.figures->Detach();
  }
  progress.reset();  // likewise; the workers that read it have ended
  static_cast<void>(events.Flush(parts_.clock.Now() + std::chrono::seconds(2)));
}

ClusterView::Options JobOperator::ViewOptions() const {
  return {.name_space = options_.name_space,
          .machine = options_.watch,
          .on_error =
              [this](const kube::ResourceType& type, const absl::Status& error) {
                parts_.metrics.WatchFailed(type);
                parts_.log.Warning("watch", {{"resource", type.plural}, {"error", std::string(error.message())}});
              },
          .on_relist = [this](const kube::ResourceType& type) { parts_.metrics.Relisted(type); }};
}

void JobOperator::Note(const kube::Controller::Outcome& outcome) const {
  parts_.metrics.Reconciled(outcome);
  if (!outcome.status.ok()) {
    parts_.log.Warning("reconcile", {{"job", outcome.key.text()}, {"error", std::string(outcome.status.message())}});
  }
}

}  // namespace splitft::controller
