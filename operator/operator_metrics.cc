#include "operator/operator_metrics.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace splitft::controller {

using telemetry::LatencyBounds;

OperatorMetrics::OperatorMetrics(telemetry::Metrics& metrics)
    : metrics_(metrics),
      leader_(metrics.AddGauge({"splitft_operator_leader", "1 where this replica leads, 0 where it waits.", {}})),
      jobs_(metrics.AddGauge({"splitft_operator_jobs",
                              "FineTuneJobs by status.state, as the leader sees them. Without a state yet: Pending.",
                              {"state"}})),
      reconciles_(metrics.AddCounter(
          {"splitft_operator_reconcile_total", "Looks at a job, by what came of them: success or error.", {"result"}})),
      reconcile_duration_(metrics.AddHistogram(
          {"splitft_operator_reconcile_duration_seconds", "How long a look at a job took, its writes included.", {}},
          LatencyBounds())),
      queue_depth_(metrics.AddGauge(
          {"splitft_operator_workqueue_depth", "Jobs that wait to be looked at, without those under way.", {}})),
      queue_longest_wait_(metrics.AddGauge({"splitft_operator_workqueue_longest_wait_seconds",
                                            "How long the first of the jobs in the queue has waited.",
                                            {}})),
      queue_duration_(metrics.AddHistogram(
          {"splitft_operator_workqueue_queue_duration_seconds", "How long a job waited in the queue.", {}},
          LatencyBounds())),
      queue_adds_(metrics.AddCounter(
          {"splitft_operator_workqueue_adds_total", "Times that a job came into the queue in which it was not.", {}})),
      queue_retries_(metrics.AddCounter({"splitft_operator_workqueue_retries_total",
                                         "Times that a job was put off with a backoff, after an error.",
                                         {}})),
      requests_(metrics.AddCounter({"splitft_operator_api_requests_total",
                                    "Requests to the API server by verb and HTTP status; error: no answer came. A "
                                    "watch counts when it ends.",
                                    {"verb", "code"}})),
      request_duration_(metrics.AddHistogram({"splitft_operator_api_request_duration_seconds",
                                              "How long requests to the API server took, watches left out.",
                                              {"verb"}},
                                             LatencyBounds())),
      watch_relists_(metrics.AddCounter({"splitft_operator_watch_relists_total",
                                         "Times that a watch had lost its place, so that all was listed anew.",
                                         {"resource"}})),
      watch_errors_(metrics.AddCounter({"splitft_operator_watch_errors_total",
                                        "Lists and watches that failed; they are tried again.",
                                        {"resource"}})),
      measurements_(metrics.AddCounter({"splitft_operator_prometheus_reads_total",
                                        "Times that jobs' figures were read from Prometheus, by what came of it: "
                                        "success or error. 0 where it is not asked.",
                                        {"result"}})) {
  leader_.Set(0);
  SetJobs({});
  SetQueue(0, {});
  for (const char* result : {"success", "error"}) {
    reconciles_.Increment({result}, 0);
    measurements_.Increment({result}, 0);
  }
  for (const telemetry::Counter& counter : {queue_adds_, queue_retries_}) {
    counter.Increment({}, 0);
  }
}

void OperatorMetrics::Reconciled(const kube::Controller::Outcome& outcome) const {
  reconciles_.Increment({outcome.status.ok() ? "success" : "error"});
  reconcile_duration_.Observe(Seconds(outcome.duration));
  queue_duration_.Observe(Seconds(outcome.waited));
}

void OperatorMetrics::Requested(const kube::RequestOutcome& outcome) const {
  const std::string& verb = outcome.request.verb;
  requests_.Increment({verb, outcome.http_status == 0 ? "error" : absl::StrCat(outcome.http_status)});
  if (verb != "watch") {
    request_duration_.Observe({verb}, Seconds(outcome.duration));
  }
}

void OperatorMetrics::SetJobs(const JobCounts& jobs) const {
  for (const JobState state : kJobStates) {
    const auto found = jobs.find(state);
    jobs_.Set({JobStateName(state)}, found == jobs.end() ? 0 : static_cast<double>(found->second));
  }
}

void OperatorMetrics::SetQueue(size_t depth, Duration longest_wait) const {
  queue_depth_.Set(static_cast<double>(depth));
  queue_longest_wait_.Set(Seconds(longest_wait));
}

OperatorMetrics::Work::Work(const OperatorMetrics& metrics, const kube::WorkQueue& queue, const ClusterView& view)
    : metrics_(metrics), queue_(queue), view_(view), refresh_(metrics.metrics_.BeforeText([this] { Refresh(); })) {
  metrics_.leader_.Set(1);
}

OperatorMetrics::Work::~Work() {
  refresh_.reset();
  Refresh();  // for what was counted since the last scrape
  metrics_.leader_.Set(0);
  metrics_.SetJobs({});
  metrics_.SetQueue(0, {});
}

void OperatorMetrics::Work::Refresh() {
  metrics_.SetJobs(view_.CountJobs());
  metrics_.SetQueue(queue_.ready(), queue_.longest_wait());
  const kube::WorkQueue::Counts now = queue_.counts();
  const kube::WorkQueue::Counts before = std::exchange(counted_, now);
  metrics_.queue_adds_.Increment({}, static_cast<double>(now.adds - before.adds));
  metrics_.queue_retries_.Increment({}, static_cast<double>(now.retries - before.retries));
}

}  // namespace splitft::controller
