#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "api/proto/control.pb.h"
#include "libs/base/mutex.h"
#include "libs/base/thread_annotations.h"
#include "libs/telemetry/metrics.h"

namespace splitft::aggregator {

// A job as Prometheus sees it (docs/metrics.md): what the coordinator's events say, labelled by namespace, job and, of
// a client, its name. As many series as one job has clients; they end with the aggregator. Thread-safe.
class JobMetrics {
 public:
  // `metrics` outlives this.
  JobMetrics(telemetry::Metrics& metrics, std::string name_space, std::string job);

  // Takes the job's next event.
  void Take(const control::JobEvent& event) SPLITFT_EXCLUDES(mutex_);
  // A plan was taken or refused.
  void Decided(const control::PlanState& state) const;

 private:
  void TakeStep(const control::JobEvent& event) const;
  void TakeClient(const control::ClientState& client, bool step) SPLITFT_REQUIRES(mutex_);

  const std::string name_space_;
  const std::string job_;
  Mutex mutex_;
  int64_t last_step_ SPLITFT_GUARDED_BY(mutex_) = 0;
  int32_t attempt_ SPLITFT_GUARDED_BY(mutex_) = 1;
  std::map<std::string, int32_t> restarts_ SPLITFT_GUARDED_BY(mutex_);    // by client
  std::map<std::string, std::string> codecs_ SPLITFT_GUARDED_BY(mutex_);  // likewise

  const telemetry::Counter steps_;
  const telemetry::Gauge planned_steps_;
  const telemetry::Gauge loss_;
  const telemetry::Gauge eval_loss_;
  const telemetry::Gauge gradient_norm_;
  const telemetry::Gauge adapter_norm_;
  const telemetry::Gauge learning_rate_;
  const telemetry::Counter tokens_;
  const telemetry::Histogram step_duration_;
  const telemetry::Gauge last_step_seconds_;
  const telemetry::Counter aggregator_seconds_;
  const telemetry::Counter restarted_steps_;
  const telemetry::Gauge microbatches_;
  const telemetry::Counter plans_;
  const telemetry::Gauge discarded_energy_;
  const telemetry::Gauge client_connected_;
  const telemetry::Counter client_losses_;
  const telemetry::Gauge client_cut_layer_;
  const telemetry::Gauge client_cut_limit_;
  const telemetry::Gauge client_rank_;
  const telemetry::Gauge client_codec_;
  const telemetry::Gauge client_loss_;
  const telemetry::Counter client_tokens_;
  const telemetry::Gauge client_last_step_tokens_;
  const telemetry::Gauge client_last_step_seconds_;
  const telemetry::Counter client_seconds_;
  const telemetry::Counter client_awaited_;
  const telemetry::Counter client_bytes_;
  const telemetry::Gauge client_uplink_;
  const telemetry::Gauge client_downlink_;
  const telemetry::Gauge client_round_trip_;
  const telemetry::Gauge client_memory_;
  const telemetry::Gauge client_memory_limit_;
  const telemetry::Gauge client_cpu_;
  const telemetry::Gauge client_throttled_;
  const telemetry::Gauge client_quota_;
};

}  // namespace splitft::aggregator
