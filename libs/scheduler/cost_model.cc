#include "libs/scheduler/cost_model.h"

#include <algorithm>

namespace splitft::scheduler {
namespace {

double Transfer(double bytes, double bytes_per_second) { return bytes_per_second > 0 ? bytes / bytes_per_second : 0; }

}  // namespace

double RowBytes(spec::Codec codec, int64_t hidden_size) {
  const auto elements = static_cast<double>(hidden_size);
  switch (codec) {
    case spec::Codec::kBf16:
      return 2 * elements;
    case spec::Codec::kInt8:
      return elements + 4;  // and the token's scale
    case spec::Codec::kInt4:
      return elements / 2 + 4;
    case spec::Codec::kAuto:
    case spec::Codec::kFp32:
      return 4 * elements;
  }
  return 4 * elements;
}

ClientStages StagesOf(const Fleet& fleet, const ClientCost& client, const Choice& choice) {
  const Link& link = client.link;
  const double blocks = choice.cut_layer;
  const double rows = static_cast<double>(client.tokens) * RowBytes(choice.codec, fleet.hidden_size);
  const double adapters = blocks * static_cast<double>(fleet.adapter_bytes);
  const double rows_up = Transfer(rows, link.up_bytes_per_second);
  const double rows_down = Transfer(rows, link.down_bytes_per_second);

  ClientStages stages;
  stages.up = {.fixed = link.round_trip_seconds + Transfer(adapters, link.down_bytes_per_second),
               .batch = blocks * client.forward_seconds + rows_up};
  if (!fleet.server_labels) {
    stages.tail = {.fixed = link.round_trip_seconds, .batch = rows_down + client.tail_seconds + rows_up};
  }
  if (fleet.client_gradients) {
    stages.back = {.fixed = link.round_trip_seconds + Transfer(adapters, link.up_bytes_per_second),
                   .batch = rows_down + blocks * client.backward_seconds};
  }
  stages.compute = blocks * (client.forward_seconds + (fleet.client_gradients ? client.backward_seconds : 0)) +
                   (fleet.server_labels ? 0 : client.tail_seconds);
  stages.uplink = (fleet.server_labels ? 1 : 2) * rows_up;
  stages.downlink = ((fleet.server_labels ? 0 : 1) + (fleet.client_gradients ? 1 : 0)) * rows_down;
  return stages;
}

Prediction Predict(const Fleet& fleet, const Arrangement& arrangement) {
  const double parts = arrangement.microbatches;
  double up = 0;
  double tail = 0;
  double back = 0;
  double busiest = 0;
  double block_tokens = 0;
  for (size_t i = 0; i < fleet.clients.size(); ++i) {
    const Choice& choice = arrangement.clients[i];
    const ClientStages stages = StagesOf(fleet, fleet.clients[i], choice);
    up = std::max(up, stages.up.fixed + stages.up.batch / parts);
    tail = std::max(tail, stages.tail.fixed + stages.tail.batch / parts);
    back = std::max(back, stages.back.fixed + stages.back.batch / parts);
    busiest = std::max({busiest, stages.compute, stages.uplink, stages.downlink});
    block_tokens +=
        static_cast<double>(fleet.clients[i].tokens) * static_cast<double>(fleet.trunk_end - choice.cut_layer);
  }
  const double server = block_tokens * (fleet.server.forward_seconds + fleet.server.backward_seconds);
  busiest = std::max(busiest, server);
  return {.seconds = up + tail + back + server / parts + (parts - 1) / parts * busiest + fleet.server.other_seconds,
          .server_seconds = server};
}

}  // namespace splitft::scheduler
