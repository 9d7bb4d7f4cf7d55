#include "aggregator/job_metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"

namespace splitft::aggregator {
namespace {

control::JobEvent Step(int64_t step) {
  control::JobEvent event;
  event.set_phase(control::TRAINING);
  event.set_step(step);
  event.set_total_steps(100);
  event.set_attempt(1);
  control::StepFigures& figures = *event.mutable_figures();
  figures.set_loss(3.25);
  figures.set_tokens(512);
  figures.set_microbatches(4);
  figures.set_adapter_norm(6);
  figures.set_seconds(1);
  figures.set_server_forward_seconds(0.125);
  figures.set_server_backward_seconds(0.25);
  figures.set_server_wait_seconds(0.5);
  control::ClientState& client = *event.add_clients();
  client.set_name("bank");
  client.set_connected(true);
  client.set_cut_layer(2);
  client.set_codec("fp32");
  client.set_loss(3.5);
  client.set_tokens(128);
  client.set_head_forward_seconds(0.25);
  client.set_awaited_seconds(0.25);
  client.set_throttled_seconds(0.125);
  client.set_up_bytes_per_second(2.5e6);
  (*client.mutable_bytes_by_kind())["HiddenUp"] = 3000;
  (*client.mutable_bytes_by_kind())["HiddenDown"] = 2000;
  return event;
}

class JobMetricsTest : public testing::Test {
 protected:
  // The value of the one series of `name` with these labels (and any others); nothing where there is none.
  std::optional<double> Value(const std::string& name, const std::vector<std::string>& labels = {}) {
    for (const std::string& line : std::vector<std::string>(absl::StrSplit(all_.Text(), '\n'))) {
      const bool fits = line.starts_with(name + "{") &&
                        std::all_of(labels.begin(), labels.end(),
                                    [&](const auto& label) { return line.find(label) != std::string::npos; });
      if (fits) {
        return std::stod(line.substr(line.rfind(' ')));
      }
    }
    return std::nullopt;
  }

  telemetry::Metrics all_;
  JobMetrics metrics_{all_, "lab", "unequal"};
};

TEST_F(JobMetricsTest, AddsUpStepsEachOnce) {
  metrics_.Take(Step(1));
  metrics_.Take(Step(1));  // an event that says the same again, as after an evaluation
  metrics_.Take(Step(2));
  EXPECT_EQ(Value("splitft_job_steps_total", {R"(namespace="lab")", R"(job="unequal")"}), 2);
  EXPECT_EQ(Value("splitft_job_loss"), 3.25);
  EXPECT_EQ(Value("splitft_job_planned_steps"), 100);
  EXPECT_EQ(Value("splitft_job_microbatches"), 4);
  EXPECT_EQ(Value("splitft_job_adapter_norm"), 6);
  EXPECT_EQ(Value("splitft_client_awaited_seconds_total", {R"(client="bank")"}), 0.5);
  EXPECT_EQ(Value("splitft_client_last_step_throttled_seconds", {R"(client="bank")"}), 0.125);
  EXPECT_EQ(Value("splitft_job_step_duration_seconds_sum"), 2);
  EXPECT_EQ(Value("splitft_aggregator_seconds_total", {R"(activity="forward")"}), 0.25);
  EXPECT_EQ(Value("splitft_aggregator_seconds_total", {R"(activity="other")"}), 0.25);
  EXPECT_EQ(Value("splitft_client_tokens_total", {R"(client="bank")"}), 256);
  EXPECT_EQ(Value("splitft_client_seconds_total", {R"(phase="forward")"}), 0.5);
  EXPECT_EQ(Value("splitft_client_bytes_total", {R"(direction="up")", R"(kind="HiddenUp")"}), 6000);
  EXPECT_EQ(Value("splitft_client_bytes_total", {R"(direction="down")", R"(kind="HiddenDown")"}), 4000);
  EXPECT_EQ(Value("splitft_client_uplink_bytes_per_second", {R"(client="bank")"}), 2.5e6);
}

TEST_F(JobMetricsTest, ShowsACodecThatWasChanged) {
  metrics_.Take(Step(1));
  control::JobEvent event = Step(2);
  event.mutable_clients(0)->set_codec("int8");
  event.mutable_clients(0)->set_cut_layer(1);
  metrics_.Take(event);
  EXPECT_EQ(Value("splitft_client_codec", {R"(codec="fp32")"}), 0);
  EXPECT_EQ(Value("splitft_client_codec", {R"(codec="int8")"}), 1);
  EXPECT_EQ(Value("splitft_client_cut_layer"), 1);
}

TEST_F(JobMetricsTest, CountsWhoCameBackAndWhatWasStartedOver) {
  metrics_.Take(Step(1));
  control::JobEvent event = Step(1);
  event.set_phase(control::WAITING_FOR_CLIENTS);
  event.clear_figures();
  event.set_attempt(2);
  event.mutable_clients(0)->set_connected(false);
  metrics_.Take(event);
  EXPECT_EQ(Value("splitft_client_connected"), 0);
  event.mutable_clients(0)->set_restarts(1);
  metrics_.Take(event);
  metrics_.Take(event);
  EXPECT_EQ(Value("splitft_client_rejoins_total"), 1);
  EXPECT_EQ(Value("splitft_job_restarted_steps_total"), 1);
  EXPECT_EQ(Value("splitft_job_steps_total"), 1);
}

TEST_F(JobMetricsTest, CountsPlansByWhatCameOfThem) {
  control::PlanState state;
  state.set_state(control::PlanState::APPLIED);
  metrics_.Decided(state);
  state.set_state(control::PlanState::REFUSED);
  metrics_.Decided(state);
  metrics_.Decided(state);
  EXPECT_EQ(Value("splitft_job_plans_total", {R"(result="applied")"}), 1);
  EXPECT_EQ(Value("splitft_job_plans_total", {R"(result="refused")"}), 2);
}

TEST_F(JobMetricsTest, AreListedInTheReferenceAndNothingElseIs) {
  std::set<std::string> expected;
  for (const telemetry::Metrics::Registered& metric : all_.registered()) {
    expected.insert(absl::StrCat("| `", metric.info.name, "` | ", metric.type, " | `",
                                 absl::StrJoin(metric.info.labels, "` `"), "` | ", metric.info.help, " |"));
  }
  const auto page = ReadFile(SPLITFT_SOURCE_DIR "/docs/metrics.md", 1 << 20);
  ASSERT_TRUE(page.ok()) << page.status();
  bool ours = false;
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(*page, '\n'))) {
    ours = ours || line == "## The aggregator";
    if (ours && line.starts_with("| `")) {
      EXPECT_EQ(expected.erase(line), 1U) << "docs/metrics.md has, and the aggregator has not\n" << line;
    }
  }
  EXPECT_TRUE(expected.empty()) << "docs/metrics.md lacks\n" << absl::StrJoin(expected, "\n");
}

}  // namespace
}  // namespace splitft::aggregator
