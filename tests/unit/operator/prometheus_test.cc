#include "operator/prometheus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/kube/request.h"
#include "tests/support/job_samples.h"
#include "tests/support/training_event.h"

namespace splitft::controller {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr Duration kNow = std::chrono::seconds(1'000'000);

std::string Vector(const std::vector<std::string>& series, const std::string& more = "") {
  return absl::StrCat(R"({"status": "success", "data": {"resultType": "vector", "result": [)",
                      absl::StrJoin(series, ", "), "]}", more, "}");
}

std::string Series(const std::string& name, const std::string& labels, const std::string& value, double time = 1e6) {
  return absl::StrCat(R"({"metric": {"__name__": ")", name, R"(", "namespace": "lab", "job": "unequal")", labels,
                      R"(}, "value": [)", time, R"(, ")", value, R"("]})");
}

std::string WhyNot(int status, const std::string& body) {
  const auto jobs = ParseAnswer({.status = status, .body = body, .retry_after = {}}, kNow);
  EXPECT_FALSE(jobs.ok()) << body;
  return std::string(jobs.status().message());
}

TEST(ParseAnswer, SortsSeriesByJobAndClient) {
  const auto jobs = ParseAnswer(
      {.status = 200,
       .body = Vector({Series("splitft_job_steps_total", "", "12"),
                       Series("splitft_client_loss", R"(, "client": "bank")", "2.5"),
                       Series("splitft_client_last_step_seconds", R"(, "client": "bank", "phase": "tail")", "0.1")}),
       .retry_after = {}},
      kNow);
  ASSERT_TRUE(jobs.ok()) << jobs.status();
  ASSERT_EQ(jobs->size(), 1U);
  EXPECT_EQ(jobs->at({"lab", "unequal"}), (JobSamples{{"splitft_job_steps_total", 12},
                                                      {"splitft_client_loss bank", 2.5},
                                                      {"splitft_client_last_step_seconds bank tail", 0.1}}));
}

TEST(ParseAnswer, LeavesOutWhatIsNobodys) {
  const auto jobs =
      ParseAnswer({.status = 200,
                   .body = Vector({R"({"metric": {"__name__": "splitft_job_steps_total"}, "value": [1000000, "1"]})",
                                   Series("splitft_client_bytes_total", R"(, "client": "bank")", "2.5")}),
                   .retry_after = {}},
                  kNow);
  ASSERT_TRUE(jobs.ok()) << jobs.status();
  EXPECT_TRUE(jobs->empty());
}

TEST(ParseAnswer, TrustsNothingElse) {
  EXPECT_EQ(WhyNot(503, "<html>down</html>"), "Prometheus answered 503: \"<html>down</html>\"");
  EXPECT_THAT(WhyNot(200, "<html>please log in</html>"), HasSubstr("none of its answers: \"<html>please"));
  EXPECT_EQ(WhyNot(400, R"({"status": "error", "errorType": "bad_data", "error": "parse error"})"),
            "Prometheus answered 400, bad_data: \"parse error\"");
  EXPECT_THAT(WhyNot(200, Vector({}, R"(, "warnings": ["a store is away"])")), HasSubstr("warns: "));
  EXPECT_THAT(WhyNot(200, R"({"status": "success", "data": {"resultType": "matrix", "result": []}})"),
              HasSubstr("no vector"));
  EXPECT_THAT(WhyNot(200, R"({"status": "success"})"), HasSubstr("no vector"));
  EXPECT_THAT(WhyNot(200, "[]"), HasSubstr("none of its answers"));
  EXPECT_THAT(WhyNot(200, Vector({"7"})), HasSubstr("a series that is none"));
  EXPECT_THAT(WhyNot(200, Vector({Series("splitft_job_steps_total", "", "12", 1e6 - 7 * 86'400)})),
              HasSubstr("as of 604800 s ago"));
  EXPECT_THAT(WhyNot(200, std::string(1000, 'x')), StartsWith("Prometheus answered with what is none"));
}

TEST(FiguresOf, AreThoseOfTheLastStep) {
  const auto figures = FiguresOf(SamplesOf(TrainingEvent(12)), UnequalJob());
  ASSERT_TRUE(figures.ok()) << figures.status();
  EXPECT_EQ(scheduler::WhatIsWrong(*figures), "");
  EXPECT_EQ(figures->step, 12);
  EXPECT_EQ(figures->total_steps, 1000);
  EXPECT_EQ(figures->attempt, 1);
  ASSERT_EQ(figures->clients.size(), 2U);
  const scheduler::ClientFigures& bank = figures->clients[1];
  EXPECT_EQ(bank.name, "bank");
  EXPECT_EQ(bank.choice, (scheduler::Choice{.cut_layer = 4, .codec = spec::Codec::kFp32}));
  EXPECT_EQ(bank.tokens, 512);
  EXPECT_DOUBLE_EQ(bank.head_backward_seconds, 8 * 0.2);
  EXPECT_EQ(bank.link, (scheduler::Link{1e6, 2e6, 0.01}));
}

TEST(FiguresOf, OfTwoAggregatorsAreNone) {
  const std::string series = Series("splitft_job_steps_total", "", "12");
  const auto jobs = ParseAnswer({.status = 200, .body = Vector({series, series}), .retry_after = {}}, kNow);
  ASSERT_TRUE(jobs.ok()) << jobs.status();
  EXPECT_THAT(std::string(FiguresOf(jobs->begin()->second, UnequalJob()).status().message()), HasSubstr("twice"));
}

TEST(FiguresOf, NamesWhatIsMissingOrNoNumber) {
  JobSamples samples = SamplesOf(TrainingEvent(12));
  samples["splitft_client_loss bank"] = std::nan("");
  EXPECT_EQ(FiguresOf(samples, UnequalJob()).status().message(), "Prometheus: splitft_client_loss bank is nan");
  samples = SamplesOf(TrainingEvent(12));
  samples["splitft_client_last_step_tokens bank"] = -1;
  EXPECT_THAT(std::string(FiguresOf(samples, UnequalJob()).status().message()), HasSubstr("is -1"));
  samples = SamplesOf(TrainingEvent(12));
  for (const auto& [key, value] : SamplesOf(TrainingEvent(12))) {
    if (key.find("codec") != std::string::npos) {
      continue;
    }
    JobSamples without = samples;
    without.erase(key);
    EXPECT_EQ(FiguresOf(without, UnequalJob()).status().message(), absl::StrCat("Prometheus has no ", key));
  }
}

}  // namespace
}  // namespace splitft::controller
