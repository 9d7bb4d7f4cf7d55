#include "libs/telemetry/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <optional>
#include <thread>

namespace splitft::telemetry {
namespace {

using ::testing::HasSubstr;

TEST(Metrics, AreWrittenAsPrometheusReadsThem) {
  Metrics metrics;
  const Counter frames = metrics.AddCounter({"frames_total", "Frames that came.", {"kind", "codec"}});
  const Gauge step = metrics.AddGauge({"step", "The step.", {}});
  const Histogram wait = metrics.AddHistogram({"wait_seconds", "Waits.", {}}, {0.005, 1});
  frames.Increment({"hidden", "fp32"});
  frames.Increment({"hidden", "fp32"}, 2);
  frames.Increment({"a\"b\\c\n", ""});
  step.Set(7);
  step.Set(-1.5);
  wait.Observe(0.25);
  wait.Observe(0.75);
  wait.Observe(3);
  const std::string text = metrics.Text();
  EXPECT_THAT(text, HasSubstr("# HELP frames_total Frames that came.\n# TYPE frames_total counter\n"));
  EXPECT_THAT(text, HasSubstr("frames_total{codec=\"fp32\",kind=\"hidden\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("frames_total{codec=\"\",kind=\"a\\\"b\\\\c\\n\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("# HELP step The step.\n# TYPE step gauge\nstep -1.5\n"));
  EXPECT_THAT(text, HasSubstr("# HELP wait_seconds Waits.\n"
                              "# TYPE wait_seconds histogram\n"
                              "wait_seconds_count 3\n"
                              "wait_seconds_sum 4\n"
                              "wait_seconds_bucket{le=\"0.005\"} 0\n"
                              "wait_seconds_bucket{le=\"1\"} 2\n"
                              "wait_seconds_bucket{le=\"+Inf\"} 3\n"));
}

TEST(Metrics, WithoutASeriesHaveNoText) {
  Metrics metrics;
  metrics.AddCounter({"frames_total", "Frames.", {"kind"}});
  EXPECT_EQ(metrics.Text(), "");
}

TEST(Metrics, SayWhatTheyAre) {
  Metrics metrics;
  AddBuildInfo(metrics, "1.2.3");
  metrics.AddHistogram({"wait_seconds", "Waits.", {"verb"}}, LatencyBounds());
  const std::vector<Metrics::Registered> registered = metrics.registered();
  ASSERT_EQ(registered.size(), 2U);
  EXPECT_EQ(registered[0].info.name, "splitft_build_info");
  EXPECT_EQ(registered[1].type, "histogram");
  EXPECT_THAT(registered[1].info.labels, ::testing::ElementsAre("verb"));
  EXPECT_THAT(metrics.Text(), HasSubstr("splitft_build_info{version=\"1.2.3\"} 1\n"));
}

TEST(Metrics, ARefreshIsCalledBeforeEachTextAsLongAsItLives) {
  Metrics metrics;
  const Gauge depth = metrics.AddGauge({"depth", "Depth.", {}});
  int calls = 0;
  std::optional<Metrics::Refresh> refresh;
  {
    Metrics::Refresh first = metrics.BeforeText([&] { depth.Set(++calls); });
    EXPECT_THAT(metrics.Text(), HasSubstr("depth 1\n"));
    refresh.emplace(std::move(first));
  }
  EXPECT_THAT(metrics.Text(), HasSubstr("depth 2\n"));
  refresh.reset();
  EXPECT_THAT(metrics.Text(), HasSubstr("depth 2\n"));
}

TEST(Metrics, ARefreshThatHasEndedIsNotCalledAnyMore) {
  Metrics metrics;
  std::atomic<bool> stop = false;
  std::jthread scraper([&] {
    while (!stop) {
      static_cast<void>(metrics.Text());
    }
  });
  for (int i = 0; i < 300; ++i) {
    std::atomic<bool> alive = true;
    {
      const Metrics::Refresh refresh = metrics.BeforeText([&] { EXPECT_TRUE(alive); });
      std::this_thread::yield();
    }
    alive = false;
  }
  stop = true;
}

TEST(Metrics, CountFromManyThreads) {
  Metrics metrics;
  const Counter frames = metrics.AddCounter({"frames_total", "Frames.", {"kind"}});
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&frames, i] {
        for (int j = 0; j < 500; ++j) {
          frames.Increment({i % 2 == 0 ? "even" : "odd"});
        }
      });
    }
  }
  EXPECT_THAT(metrics.Text(), HasSubstr("frames_total{kind=\"even\"} 1000\n"));
  EXPECT_THAT(metrics.Text(), HasSubstr("frames_total{kind=\"odd\"} 1000\n"));
}

TEST(MetricsDeathTest, WhatIsNotOneIsADefect) {
  Metrics metrics;
  const Counter frames = metrics.AddCounter({"frames_total", "Frames.", {"kind"}});
  EXPECT_DEATH(frames.Increment({}), "");
  EXPECT_DEATH(metrics.AddCounter({"frames_total", "Again.", {}}), "");
  EXPECT_DEATH(metrics.AddGauge({"no name", "Spaces.", {}}), "");
}

}  // namespace
}  // namespace splitft::telemetry
