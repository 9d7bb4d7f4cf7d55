#include "aggregator/metrics_log.h"

#include <gtest/gtest.h>

#include <limits>

#include "nlohmann/json.hpp"

namespace splitft::aggregator {
namespace {

using std::chrono::milliseconds;

control::JobEvent Step() {
  control::JobEvent event;
  event.set_step(7);
  control::StepFigures& figures = *event.mutable_figures();
  figures.set_loss(3.25);
  figures.set_learning_rate(0.0005);
  figures.set_gradient_norm(0.5);
  figures.set_adapter_norm(4);
  figures.set_tokens(512);
  figures.set_loss_tokens(500);
  figures.set_microbatches(2);
  figures.set_seconds(0.25);
  figures.set_server_forward_seconds(0.125);
  control::ClientState& client = *event.add_clients();
  client.set_name("bank");
  client.set_connected(true);
  client.set_cut_layer(2);
  client.set_codec("fp32");
  client.set_loss(3.5);
  client.set_tokens(128);
  client.set_bytes_up(4096);
  client.set_awaited_seconds(0.25);
  client.set_throttled_seconds(0.125);
  client.set_cpu_quota(0.5);
  (*client.mutable_bytes_by_kind())["HiddenUp"] = 3000;
  (*client.mutable_bytes_by_kind())["GradientUp"] = 1096;
  return event;
}

TEST(MetricsLine, IsOneLineInAFixedOrder) {
  EXPECT_EQ(
      MetricsLine(Step(), milliseconds(1769862896789)),
      R"({"step":7,"time":1769862896.789,"loss":3.25,"learning_rate":0.0005,"gradient_norm":0.5,"adapter_norm":4.0,"tokens":512,)"
      R"("loss_tokens":500,"microbatches":2,"seconds":0.25,)"
      R"("server":{"forward_seconds":0.125,"backward_seconds":0.0,"wait_seconds":0.0},)"
      R"("clients":[{"name":"bank","connected":true,"cut_layer":2,"codec":"fp32","loss":3.5,"tokens":128,)"
      R"("head_forward_seconds":0.0,"tail_seconds":0.0,"head_backward_seconds":0.0,"wait_seconds":0.0,"awaited_seconds":0.25,)"
      R"("cpu_seconds":0.0,"throttled_seconds":0.125,"cpu_quota":0.5,"bytes_up":4096,)"
      R"("bytes_down":0,"bytes_by_kind":{"GradientUp":1096,"HiddenUp":3000},"peak_memory_bytes":0,)"
      R"("up_bytes_per_second":0.0,"down_bytes_per_second":0.0,"round_trip_seconds":0.0}]})"
      "\n");
}

TEST(MetricsLine, HasAnEvaluationOnlyWhereThereWasOne) {
  control::JobEvent event = Step();
  EXPECT_FALSE(nlohmann::json::parse(MetricsLine(event, milliseconds(0))).contains("eval_loss"));
  event.mutable_figures()->set_eval_loss(0.0);
  EXPECT_EQ(nlohmann::json::parse(MetricsLine(event, milliseconds(0)))["eval_loss"], 0.0);
}

TEST(MetricsLine, StaysJsonWhateverTheNumbersAndNames) {
  control::JobEvent event = Step();
  event.mutable_figures()->set_loss(std::numeric_limits<double>::quiet_NaN());
  event.mutable_figures()->set_gradient_norm(std::numeric_limits<double>::infinity());
  event.mutable_clients(0)->set_name("a\"\n\xE2\x82");
  const auto json = nlohmann::json::parse(MetricsLine(event, milliseconds(0)));
  EXPECT_TRUE(json["loss"].is_null());
  EXPECT_TRUE(json["gradient_norm"].is_null());
  EXPECT_EQ(json["clients"][0]["name"], "a\"\n\xEF\xBF\xBD");
}

}  // namespace
}  // namespace splitft::aggregator
