#include "aggregator/metrics_log.h"

#include <google/protobuf/util/json_util.h>

#include <map>

#include "nlohmann/json.hpp"

namespace splitft::aggregator {
namespace {

// Keeps the order of insertion, which is the order a person reads.
using Json = nlohmann::ordered_json;

Json ClientJson(const control::ClientState& client) {
  Json json;
  json["name"] = client.name();
  json["connected"] = client.connected();
  json["cut_layer"] = client.cut_layer();
  json["codec"] = client.codec();
  json["loss"] = client.loss();
  json["tokens"] = client.tokens();
  json["head_forward_seconds"] = client.head_forward_seconds();
  json["tail_seconds"] = client.tail_seconds();
  json["head_backward_seconds"] = client.head_backward_seconds();
  json["wait_seconds"] = client.wait_seconds();
  json["awaited_seconds"] = client.awaited_seconds();
  json["cpu_seconds"] = client.cpu_seconds();
  json["throttled_seconds"] = client.throttled_seconds();
  json["cpu_quota"] = client.cpu_quota();
  json["bytes_up"] = client.bytes_up();
  json["bytes_down"] = client.bytes_down();
  // A protobuf map has no order; a line must not change from run to run.
  json["bytes_by_kind"] = std::map<std::string, int64_t>(client.bytes_by_kind().begin(), client.bytes_by_kind().end());
  json["peak_memory_bytes"] = client.peak_memory_bytes();
  json["up_bytes_per_second"] = client.up_bytes_per_second();
  json["down_bytes_per_second"] = client.down_bytes_per_second();
  json["round_trip_seconds"] = client.round_trip_seconds();
  return json;
}

}  // namespace

std::string MetricsLine(const control::JobEvent& event, std::chrono::milliseconds wall_time) {
  const control::StepFigures& figures = event.figures();
  Json json;
  json["step"] = event.step();
  json["time"] = static_cast<double>(wall_time.count()) / 1000.0;
  json["loss"] = figures.loss();
  if (figures.has_eval_loss()) {
    json["eval_loss"] = figures.eval_loss();
  }
  json["learning_rate"] = figures.learning_rate();
  json["gradient_norm"] = figures.gradient_norm();
  json["adapter_norm"] = figures.adapter_norm();
  json["tokens"] = figures.tokens();
  json["loss_tokens"] = figures.loss_tokens();
  json["microbatches"] = figures.microbatches();
  json["seconds"] = figures.seconds();
  json["server"] = {{"forward_seconds", figures.server_forward_seconds()},
                    {"backward_seconds", figures.server_backward_seconds()},
                    {"wait_seconds", figures.server_wait_seconds()}};
  json["clients"] = Json::array();
  for (const control::ClientState& client : event.clients()) {
    json["clients"].push_back(ClientJson(client));
  }
  // nlohmann writes what is not finite as null, which is what a JSON reader can read.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string DecisionLine(const control::Plan& plan, const control::PlanState& state,
                         std::chrono::milliseconds wall_time) {
  control::Decision decision;
  decision.set_time(static_cast<double>(wall_time.count()) / 1000.0);
  *decision.mutable_state() = state;
  *decision.mutable_plan() = plan;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string line;
  // A message without Any is always written.
  static_cast<void>(google::protobuf::util::MessageToJsonString(decision, &line, options));
  return line + "\n";
}

}  // namespace splitft::aggregator
