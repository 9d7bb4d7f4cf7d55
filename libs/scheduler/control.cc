#include "libs/scheduler/control.h"

#include "libs/scheduler/reasons.h"

namespace splitft::scheduler {
namespace {

spec::Codec CodecOf(const std::string& name) {
  for (const spec::Codec codec : {spec::Codec::kBf16, spec::Codec::kInt8, spec::Codec::kInt4}) {
    if (name == CodecText(codec)) {
      return codec;
    }
  }
  return spec::Codec::kFp32;
}

}  // namespace

std::optional<ModelShape> ShapeOf(const control::JobEvent& event) {
  const control::ModelFacts& model = event.model();
  if (model.block_count() < 1 || model.hidden_size() < 1 || model.adapter_bytes() < 0 || model.block_bytes() < 0) {
    return std::nullopt;
  }
  return ModelShape{.block_count = model.block_count(),
                    .hidden_size = model.hidden_size(),
                    .adapter_bytes = model.adapter_bytes(),
                    .block_bytes = model.block_bytes()};
}

std::optional<StepFigures> FiguresOf(const control::JobEvent& event) {
  if (event.phase() != control::TRAINING || !event.has_figures()) {
    return std::nullopt;
  }
  StepFigures figures{.step = event.step(),
                      .total_steps = event.total_steps(),
                      .attempt = event.attempt(),
                      .microbatches = event.figures().microbatches(),
                      .seconds = event.figures().seconds(),
                      .server_forward_seconds = event.figures().server_forward_seconds(),
                      .server_backward_seconds = event.figures().server_backward_seconds(),
                      .server_wait_seconds = event.figures().server_wait_seconds(),
                      .clients = {}};
  for (const control::ClientState& client : event.clients()) {
    if (client.tokens() <= 0) {
      return std::nullopt;
    }
    figures.clients.push_back({.name = client.name(),
                               .choice = {.cut_layer = client.cut_layer(), .codec = CodecOf(client.codec())},
                               .tokens = client.tokens(),
                               .head_forward_seconds = client.head_forward_seconds(),
                               .tail_seconds = client.tail_seconds(),
                               .head_backward_seconds = client.head_backward_seconds(),
                               .link = {.up_bytes_per_second = client.up_bytes_per_second(),
                                        .down_bytes_per_second = client.down_bytes_per_second(),
                                        .round_trip_seconds = client.round_trip_seconds()},
                               .loss = client.loss(),
                               .memory_bytes = client.peak_memory_bytes(),
                               .memory_limit_bytes = client.memory_limit_bytes(),
                               .cpu_seconds = client.cpu_seconds(),
                               .throttled_seconds = client.throttled_seconds(),
                               .cpu_quota = client.cpu_quota(),
                               .cut_limit = client.cut_limit()});
  }
  return figures;
}

control::Plan MessageOf(const Plan& plan, uint64_t number, const std::string& job_uid) {
  control::Plan message;
  message.set_job_uid(job_uid);
  message.set_number(number);
  message.set_seconds_now(plan.seconds_now);
  message.set_seconds_then(plan.seconds_then);
  message.set_microbatches(plan.microbatches);
  message.set_microbatches_now(plan.now.microbatches);
  message.set_reason(plan.reason);
  for (const Change& change : plan.changes) {
    control::ClientPlan& client = *message.add_clients();
    client.set_name(change.client);
    client.set_cut_layer(change.to.cut_layer);
    client.set_codec(change.from.codec == change.to.codec ? "" : CodecText(change.to.codec));
    client.set_reason(change.reason);
  }
  for (size_t i = 0; i < plan.fleet.clients.size(); ++i) {
    const ClientCost& cost = plan.fleet.clients[i];
    control::ClientCosts& costs = *message.add_costs();
    costs.set_name(plan.names[i]);
    costs.set_cut_layer(plan.now.clients[i].cut_layer);
    costs.set_codec(CodecText(plan.now.clients[i].codec));
    costs.set_block_forward_seconds(cost.forward_seconds);
    costs.set_block_backward_seconds(cost.backward_seconds);
    costs.set_tail_seconds(cost.tail_seconds);
    costs.set_up_bytes_per_second(cost.link.up_bytes_per_second);
    costs.set_down_bytes_per_second(cost.link.down_bytes_per_second);
    costs.set_round_trip_seconds(cost.link.round_trip_seconds);
  }
  return message;
}

}  // namespace splitft::scheduler
