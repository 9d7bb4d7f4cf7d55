#pragma once

#include "absl/strings/str_cat.h"
#include "api/proto/control.pb.h"
#include "operator/prometheus.h"

namespace splitft {

// What Prometheus has of a job whose aggregator said `event` last.
inline controller::JobSamples SamplesOf(const control::JobEvent& event) {
  controller::JobSamples samples = {
      {"splitft_job_steps_total", event.step()},
      {"splitft_job_planned_steps", event.total_steps()},
      {"splitft_job_restarted_steps_total", 0},
      {"splitft_job_microbatches", event.figures().microbatches()},
      {"splitft_job_last_step_seconds total", event.figures().seconds()},
      {"splitft_job_last_step_seconds forward", event.figures().server_forward_seconds()},
      {"splitft_job_last_step_seconds backward", event.figures().server_backward_seconds()},
      {"splitft_job_last_step_seconds wait", event.figures().server_wait_seconds()}};
  for (const control::ClientState& client : event.clients()) {
    const auto set = [&](const char* metric, double value, const char* phase = "") {
      samples[absl::StrCat("splitft_client_", metric, " ", client.name(), *phase == '\0' ? "" : " ", phase)] = value;
    };
    set("cut_layer", client.cut_layer());
    set("cut_limit", 0);
    set("codec", 0, "bf16");
    set("codec", 1, "fp32");
    set("last_step_tokens", static_cast<double>(client.tokens()));
    set("last_step_seconds", client.head_forward_seconds(), "forward");
    set("last_step_seconds", client.tail_seconds(), "tail");
    set("last_step_seconds", client.head_backward_seconds(), "backward");
    set("uplink_bytes_per_second", 1e6);
    set("downlink_bytes_per_second", 2e6);
    set("round_trip_seconds", 0.01);
    set("loss", 2.5);
    set("peak_memory_bytes", 1e8);
    set("memory_limit_bytes", 0);
    set("last_step_cpu_seconds", 0);
    set("last_step_throttled_seconds", 0);
    set("cpu_quota_cores", 0);
  }
  return samples;
}

}  // namespace splitft
