#include "libs/telemetry/telemetry_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace splitft::telemetry {
namespace {

using ::testing::HasSubstr;

TEST(TelemetryPaths, SayWhetherItServesAndTakesPart) {
  Metrics metrics;
  std::atomic<bool> ready = false;
  const HttpPaths paths = TelemetryPaths(metrics, ready);
  EXPECT_EQ(paths.at("/healthz")().status, 200);
  EXPECT_EQ(paths.at("/readyz")().status, 503);
  ready = true;
  EXPECT_EQ(paths.at("/readyz")().status, 200);
}

TEST(TelemetryPaths, HaveTheMetricsInTheTextFormat) {
  Metrics metrics;
  AddBuildInfo(metrics, "1.2.3");
  const std::atomic<bool> ready = false;
  const HttpAnswer answer = TelemetryPaths(metrics, ready).at("/metrics")();
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(answer.body, HasSubstr("\nsplitft_build_info{version=\"1.2.3\"} 1\n"));
}

}  // namespace
}  // namespace splitft::telemetry
