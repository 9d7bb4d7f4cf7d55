#include "operator/operator_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "libs/base/file.h"
#include "tests/unit/libs/kube/manual_clock.h"
#include "tests/unit/libs/kube/scripted_transport.h"

namespace splitft::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

const kube::ObjectKey kJob{"lab", "secret-name"};

class OperatorMetricsTest : public ::testing::Test {
 protected:
  telemetry::Metrics all_;
  const OperatorMetrics metrics_{all_};
};

TEST_F(OperatorMetricsTest, AReplicaThatWaitsHasNothingToDo) {
  const std::string text = all_.Text();
  for (const char* line :
       {"splitft_operator_leader 0\n", "splitft_operator_workqueue_depth 0\n",
        "splitft_operator_workqueue_adds_total 0\n", "splitft_operator_jobs{state=\"Running\"} 0\n",
        "splitft_operator_jobs{state=\"Failed\"} 0\n", "splitft_operator_reconcile_total{result=\"error\"} 0\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST_F(OperatorMetricsTest, ReconcilesAreCountedByResultAndTimed) {
  metrics_.Reconciled({.key = kJob, .status = {}, .waited = seconds(2), .duration = milliseconds(20)});
  metrics_.Reconciled({.key = kJob, .status = {}, .waited = {}, .duration = milliseconds(30)});
  metrics_.Reconciled({.key = kJob, .status = absl::InternalError("no"), .waited = {}, .duration = milliseconds(700)});
  const std::string text = all_.Text();
  EXPECT_THAT(text, HasSubstr("splitft_operator_reconcile_total{result=\"success\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("splitft_operator_reconcile_total{result=\"error\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("splitft_operator_reconcile_duration_seconds_count 3\n"));
  EXPECT_THAT(text, HasSubstr("splitft_operator_reconcile_duration_seconds_sum 0.75\n"));
  EXPECT_THAT(text, HasSubstr("splitft_operator_reconcile_duration_seconds_bucket{le=\"0.025\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("splitft_operator_workqueue_queue_duration_seconds_bucket{le=\"1\"} 2\n"));
  EXPECT_THAT(text, Not(HasSubstr(kJob.name))) << "names of jobs are no label";
}

TEST_F(OperatorMetricsTest, RequestsAreCountedByVerbAndCode) {
  const kube::Request get{.verb = "get"};
  const kube::Request watch{.verb = "watch"};
  metrics_.Requested({.request = get, .http_status = 200, .duration = milliseconds(4)});
  metrics_.Requested({.request = get, .http_status = 404, .duration = milliseconds(4)});
  metrics_.Requested({.request = get, .http_status = 0, .duration = seconds(40)});
  metrics_.Requested({.request = watch, .http_status = 200, .duration = seconds(290)});
  const std::string text = all_.Text();
  for (const char* line : {"splitft_operator_api_requests_total{code=\"200\",verb=\"get\"} 1\n",
                           "splitft_operator_api_requests_total{code=\"404\",verb=\"get\"} 1\n",
                           "splitft_operator_api_requests_total{code=\"error\",verb=\"get\"} 1\n",
                           "splitft_operator_api_requests_total{code=\"200\",verb=\"watch\"} 1\n",
                           "splitft_operator_api_request_duration_seconds_bucket{verb=\"get\",le=\"30\"} 2\n",
                           "splitft_operator_api_request_duration_seconds_count{verb=\"get\"} 3\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  EXPECT_THAT(text, Not(HasSubstr("request_duration_seconds_count{verb=\"watch\"}")));
}

TEST_F(OperatorMetricsTest, WatchesThatFailAreCountedByWhatTheyWatch) {
  metrics_.WatchFailed({"", "v1", "Pod", "pods"});
  metrics_.WatchFailed({"", "v1", "Pod", "pods"});
  metrics_.Relisted({"", "v1", "Pod", "pods"});
  EXPECT_THAT(all_.Text(), HasSubstr("splitft_operator_watch_errors_total{resource=\"pods\"} 2\n"));
  EXPECT_THAT(all_.Text(), HasSubstr("splitft_operator_watch_relists_total{resource=\"pods\"} 1\n"));
}

TEST_F(OperatorMetricsTest, ALeadersQueueIsReadAtEachScrape) {
  const kube::ManualClock clock;
  kube::ScriptedTransport transport(clock);
  const ClusterView view(transport, clock, {}, [](const kube::ObjectKey&) {});
  for (const int before : {0, 2}) {
    kube::WorkQueue queue(clock, {});
    {
      const OperatorMetrics::Work work(metrics_, queue, view);
      queue.Add(kJob);
      queue.Add({"lab", "b"});
      clock.Advance(seconds(3));
      const std::string text = all_.Text();
      EXPECT_EQ(text, all_.Text());
      EXPECT_THAT(text, HasSubstr("splitft_operator_leader 1\n"));
      EXPECT_THAT(text, HasSubstr("splitft_operator_workqueue_depth 2\n"));
      EXPECT_THAT(text, HasSubstr("splitft_operator_workqueue_longest_wait_seconds 3\n"));
      EXPECT_THAT(text, HasSubstr(absl::StrCat("splitft_operator_workqueue_adds_total ", before + 2, "\n")));
      EXPECT_THAT(text, HasSubstr(absl::StrCat("splitft_operator_workqueue_retries_total ", before / 2, "\n")));
      queue.AddAfterFailure({"lab", "c"});
    }
    EXPECT_THAT(all_.Text(), HasSubstr("splitft_operator_leader 0\n"));
    EXPECT_THAT(all_.Text(), HasSubstr("splitft_operator_workqueue_depth 0\n"));
    EXPECT_THAT(all_.Text(),
                HasSubstr(absl::StrCat("splitft_operator_workqueue_retries_total ", before / 2 + 1, "\n")));
  }
}

TEST(CountByState, TakesJobsWithoutAStateForPending) {
  std::vector<kube::Object> jobs;
  for (const char* state : {"Running", "Complete", "Running", "Pending", "Strange"}) {
    jobs.push_back(std::make_shared<const Json>(Json{{"status", {{"state", state}}}}));
  }
  jobs.push_back(std::make_shared<const Json>(Json::object()));
  EXPECT_EQ(CountByState(jobs),
            (JobCounts{{JobState::kPending, 3}, {JobState::kRunning, 2}, {JobState::kComplete, 1}}));
}

TEST(MetricsReference, ListsWhatIsRegisteredAndNothingElse) {
  telemetry::Metrics all;
  telemetry::AddBuildInfo(all, "1");
  const OperatorMetrics metrics(all);
  std::set<std::string> expected;
  for (const telemetry::Metrics::Registered& metric : all.registered()) {
    const std::string labels =
        metric.info.labels.empty() ? "" : absl::StrCat("`", absl::StrJoin(metric.info.labels, "` `"), "`");
    expected.insert(
        absl::StrCat("| `", metric.info.name, "` | ", metric.type, " | ", labels, " | ", metric.info.help, " |"));
  }
  const auto page = ReadFile(SPLITFT_SOURCE_DIR "/docs/metrics.md", 1 << 20);
  ASSERT_TRUE(page.ok()) << page.status();
  for (const std::string& line : std::vector<std::string>(absl::StrSplit(*page, '\n'))) {
    if (line == "## The aggregator") {
      break;  // unit.aggregator looks at those
    }
    if (line.starts_with("| `")) {
      EXPECT_EQ(expected.erase(line), 1U) << "docs/metrics.md has, and the operator has not\n" << line;
    }
  }
  EXPECT_TRUE(expected.empty()) << "docs/metrics.md lacks\n" << absl::StrJoin(expected, "\n");
}

}  // namespace
}  // namespace splitft::controller
