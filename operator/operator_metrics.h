#pragma once

#include <optional>

#include "libs/kube/controller.h"
#include "libs/kube/observed_transport.h"
#include "libs/telemetry/metrics.h"
#include "operator/cluster_view.h"

namespace splitft::controller {

// The operator's metrics, listed in docs/metrics.md. Thread-safe.
class OperatorMetrics {
 public:
  // `metrics` outlives this.
  explicit OperatorMetrics(telemetry::Metrics& metrics);

  void Reconciled(const kube::Controller::Outcome& outcome) const;
  void Requested(const kube::RequestOutcome& outcome) const;
  void Relisted(const kube::ResourceType& type) const { watch_relists_.Increment({type.plural}); }
  void WatchFailed(const kube::ResourceType& type) const { watch_errors_.Increment({type.plural}); }

  // The figures of jobs were asked for at Prometheus.
  void Measured(bool ok) const { measurements_.Increment({ok ? "success" : "error"}); }

  // While it lives this replica leads, and each scrape reads its queue and its jobs, which outlive it.
  class Work {
   public:
    Work(const OperatorMetrics& metrics, const kube::WorkQueue& queue, const ClusterView& view);
    ~Work();
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;

   private:
    void Refresh();

    const OperatorMetrics& metrics_;
    const kube::WorkQueue& queue_;
    const ClusterView& view_;
    kube::WorkQueue::Counts counted_;
    std::optional<telemetry::Metrics::Refresh> refresh_;
  };

 private:
  void SetJobs(const JobCounts& jobs) const;
  void SetQueue(size_t depth, Duration longest_wait) const;

  telemetry::Metrics& metrics_;
  const telemetry::Gauge leader_;
  const telemetry::Gauge jobs_;
  const telemetry::Counter reconciles_;
  const telemetry::Histogram reconcile_duration_;
  const telemetry::Gauge queue_depth_;
  const telemetry::Gauge queue_longest_wait_;
  const telemetry::Histogram queue_duration_;
  const telemetry::Counter queue_adds_;
  const telemetry::Counter queue_retries_;
  const telemetry::Counter requests_;
  const telemetry::Histogram request_duration_;
  const telemetry::Counter watch_relists_;
  const telemetry::Counter watch_errors_;
  const telemetry::Counter measurements_;
};

}  // namespace splitft::controller
