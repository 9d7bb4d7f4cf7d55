// What metrics cost an aggregator: seconds of a step's figures, and of a scrape, with 16 clients: JSON on stdout.
//
//     metrics_bench

#include <cstdio>

#include "absl/strings/str_cat.h"
#include "aggregator/job_metrics.h"
#include "libs/base/clock.h"

namespace splitft {
namespace {

constexpr int kClients = 16;
constexpr int kSteps = 10'000;
constexpr int kScrapes = 200;

control::JobEvent Event() {
  control::JobEvent event;
  event.set_phase(control::TRAINING);
  event.set_total_steps(kSteps);
  event.mutable_figures()->set_seconds(0.1);
  event.mutable_figures()->set_tokens(8192);
  event.mutable_figures()->set_microbatches(1);
  for (int i = 0; i < kClients; ++i) {
    control::ClientState& client = *event.add_clients();
    client.set_name(absl::StrCat("client-", i));
    client.set_connected(true);
    client.set_cut_layer(2);
    client.set_codec("bf16");
    client.set_tokens(512);
    for (const char* kind : {"StepBegin", "HiddenUp", "HiddenDown", "GradientUp", "GradientDown", "StepEnd"}) {
      (*client.mutable_bytes_by_kind())[kind] = 100'000;
    }
  }
  return event;
}

int Main() {
  const Clock& clock = SystemClock();
  telemetry::Metrics all;
  aggregator::JobMetrics metrics(all, "default", "bench");
  control::JobEvent event = Event();
  TimePoint start = clock.Now();
  for (int step = 1; step <= kSteps; ++step) {
    event.set_step(step);
    metrics.Take(event);
  }
  const double step_seconds = Seconds(clock.Now() - start) / kSteps;
  start = clock.Now();
  size_t bytes = 0;
  for (int i = 0; i < kScrapes; ++i) {
    bytes = all.Text().size();
  }
  const double scrape_seconds = Seconds(clock.Now() - start) / kScrapes;
  std::printf("{\"step_seconds\": %.9f, \"scrape_seconds\": %.9f, \"scrape_bytes\": %zu}\n", step_seconds,
              scrape_seconds, bytes);
  return 0;
}

}  // namespace
}  // namespace splitft

int main() { return splitft::Main(); }
