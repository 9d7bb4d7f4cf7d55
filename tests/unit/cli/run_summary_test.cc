#include "cli/run_summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nlohmann/json.hpp"

namespace splitft::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Record(int step, double loss) {
  nlohmann::json record = {{"step", step},
                           {"loss", loss},
                           {"tokens", 100},
                           {"clients", {{{"bytes_up", 10}, {"bytes_down", 20}}, {{"bytes_up", 1}, {"bytes_down", 2}}}}};
  return record.dump() + "\n";
}

TEST(AddUpMetrics, AddsUpTokensAndBytes) {
  const auto totals = AddUpMetrics(Record(1, 4.0) + Record(2, 3.0));
  ASSERT_TRUE(totals.ok()) << totals.status();
  EXPECT_EQ(totals->steps, 2);
  EXPECT_EQ(totals->tokens, 200);
  EXPECT_EQ(totals->bytes_up, 22);
  EXPECT_EQ(totals->bytes_down, 44);
  EXPECT_FALSE(totals->eval_loss.has_value());
}

TEST(AddUpMetrics, AveragesAtMostTenStepsAndNeverTheSameTwice) {
  std::string metrics;
  for (int step = 1; step <= 100; ++step) {
    metrics += Record(step, step);
  }
  const auto many = AddUpMetrics(metrics);
  ASSERT_TRUE(many.ok());
  EXPECT_EQ(many->averaged_steps, 10);
  EXPECT_EQ(many->first_loss, 5.5);
  EXPECT_EQ(many->last_loss, 95.5);

  const auto few = AddUpMetrics(Record(1, 1.0) + Record(2, 2.0) + Record(3, 4.0));
  ASSERT_TRUE(few.ok());
  EXPECT_EQ(few->averaged_steps, 1);
  EXPECT_EQ(few->first_loss, 1.0);
  EXPECT_EQ(few->last_loss, 4.0);
}

TEST(AddUpMetrics, TakesTheLastEvaluation) {
  const auto totals = AddUpMetrics(R"({"loss":4,"eval_loss":3.5,"clients":[]})"
                                   "\n"
                                   R"({"loss":3,"eval_loss":3.25,"clients":[]})"
                                   "\n" +
                                   Record(3, 2.0));
  ASSERT_TRUE(totals.ok()) << totals.status();
  EXPECT_EQ(totals->eval_loss, 3.25);
}

TEST(AddUpMetrics, NamesTheLineThatIsNoRecord) {
  EXPECT_THAT(std::string(AddUpMetrics(Record(1, 4.0) + "{\"loss\":").status().message()), HasSubstr("line 2"));
  EXPECT_THAT(std::string(AddUpMetrics("[]\n").status().message()), HasSubstr("line 1"));
  EXPECT_FALSE(AddUpMetrics("").ok());
}

RunResult Result(const spec::FineTuneJob& job) {
  return {.job = job,
          .totals = {.steps = 200,
                     .averaged_steps = 10,
                     .first_loss = 4.12345,
                     .last_loss = 2.5,
                     .eval_loss = 2.75,
                     .tokens = 51200,
                     .bytes_up = 123'456'789,
                     .bytes_down = 120'000'000},
          .elapsed = std::chrono::seconds(83),
          .working_directory = "/home/ada/project",
          .program = "./build/bin/splitft"};
}

spec::FineTuneJob Job() {
  spec::FineTuneJob job;
  job.model.source.value = "/home/ada/project/my base";
  job.output.value = "/home/ada/project/out";
  return job;
}

TEST(RunSummary, SaysWhatWasMadeAndWhatToTryNext) {
  EXPECT_EQ(FormatRunSummary(Result(Job())),
            "Done: 200 steps in 1:23, 51,200 tokens. Loss 4.1235 -> 2.5000 (means of the first and the last 10 steps), "
            "2.7500 on held-out text.\n"
            "Sent by clients 123 MB, received 120 MB; no text, token or label left a client's process.\n"
            "\n"
            "  adapter  out  (PEFT loads this folder)\n"
            "  report   out/report.html\n"
            "  metrics  out/metrics.jsonl\n"
            "\n"
            "Try next, before and after fine-tuning:\n"
            "  ./build/bin/splitft generate --temperature 0 --model 'my base' --prompt The\n"
            "  ./build/bin/splitft generate --temperature 0 --model 'my base' --adapter out --prompt The\n");
}

TEST(RunSummary, ProposesTheJobsOwnPrompt) {
  spec::FineTuneJob job = Job();
  job.annotations["splitft.io/example-prompt"] = "Name: The Eagle. Text:";
  EXPECT_THAT(FormatRunSummary(Result(job)), HasSubstr("--adapter out --prompt 'Name: The Eagle. Text:'\n"));
}

TEST(RunSummary, DoesNotClaimThatLabelsStayedWhereTheyDidNot) {
  spec::FineTuneJob job = Job();
  job.split.labels = spec::LabelSide::kServer;
  EXPECT_THAT(FormatRunSummary(Result(job)), Not(HasSubstr("left a client's process")));
  EXPECT_THAT(FormatRunSummary(Result(job)), HasSubstr("the aggregator has seen the tokens"));
}

TEST(CompletedJson, HasTheTotals) {
  const auto json = nlohmann::json::parse(CompletedJson("/out", Result(Job()).totals, std::chrono::milliseconds(1500)));
  EXPECT_EQ(json["event"], "completed");
  EXPECT_EQ(json["output"], "/out");
  EXPECT_EQ(json["seconds"], 1.5);
  EXPECT_EQ(json["last_loss"], 2.5);
}

}  // namespace
}  // namespace splitft::cli
