#pragma once

#include <cstdint>

#include "api/proto/control.pb.h"
#include "libs/spec/job.h"

// A job of two clients, one of which is slow, for tests of what follows its figures.
namespace splitft {

inline spec::FineTuneJob UnequalJob() {
  spec::FineTuneJob job;
  job.name = "unequal";
  job.training.steps = 1000;
  job.scheduling.policy = spec::SchedulingPolicy::kMakespan;
  job.clients = {{.name = "hospital", .data = {}, .cut_layer = 4}, {.name = "bank", .data = {}, .cut_layer = 4}};
  return job;
}

// What its aggregator says after `step` as long as no plan is followed: a block of the bank's takes `slow_seconds`.
inline control::JobEvent TrainingEvent(int64_t step, double slow_seconds = 0.2) {
  control::JobEvent event;
  event.set_phase(control::TRAINING);
  event.set_step(step);
  event.set_total_steps(1000);
  event.mutable_model()->set_block_count(12);
  event.mutable_model()->set_hidden_size(768);
  event.mutable_model()->set_adapter_bytes(100'000);
  event.mutable_figures()->set_microbatches(1);
  event.mutable_figures()->set_seconds(4 * 3 * slow_seconds + 1);
  event.mutable_figures()->set_server_forward_seconds(0.08);
  event.mutable_figures()->set_server_backward_seconds(0.16);
  event.mutable_figures()->set_server_wait_seconds(4 * 3 * slow_seconds);
  for (const auto& [name, seconds] : {std::pair("hospital", 0.01), std::pair("bank", slow_seconds)}) {
    control::ClientState& client = *event.add_clients();
    client.set_name(name);
    client.set_connected(true);
    client.set_cut_layer(4);
    client.set_codec("fp32");
    client.set_tokens(512);
    client.set_head_forward_seconds(4 * seconds);
    client.set_head_backward_seconds(8 * seconds);
    client.set_tail_seconds(0.1);
  }
  return event;
}

}  // namespace splitft
