// The server of probes and scrapes on a real socket.

#include "libs/telemetry/telemetry_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include "absl/strings/str_cat.h"

namespace splitft::telemetry {
namespace {

using ::testing::HasSubstr;

class TelemetryServerTest : public testing::Test {
 protected:
  httplib::Result Get(const char* path) { return httplib::Client("127.0.0.1", server_->port()).Get(path); }

  Metrics metrics_;
  const std::unique_ptr<TelemetryServer> server_ = TelemetryServer::Start("127.0.0.1:0", metrics_).value();
};

TEST_F(TelemetryServerTest, SaysWhetherItServesAndTakesPart) {
  EXPECT_EQ(Get("/healthz")->status, 200);
  EXPECT_EQ(Get("/readyz")->status, 503);
  server_->set_ready(true);
  EXPECT_EQ(Get("/readyz")->status, 200);
  EXPECT_EQ(Get("/other")->status, 404);
}

TEST_F(TelemetryServerTest, HasTheMetricsInTheTextFormat) {
  AddBuildInfo(metrics_, "1.2.3");
  const httplib::Result answer = Get("/metrics");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->get_header_value("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(answer->body, HasSubstr("\nsplitft_build_info{version=\"1.2.3\"} 1\n"));
}

TEST_F(TelemetryServerTest, AnAddressInUseIsRefused) {
  const std::string address = absl::StrCat("127.0.0.1:", server_->port());
  const absl::Status second = TelemetryServer::Start(address, metrics_).status();
  EXPECT_TRUE(absl::IsUnavailable(second));
  EXPECT_THAT(std::string(second.message()), HasSubstr(absl::StrCat("cannot listen on \"", address, "\"")));
}

TEST(TelemetryServerAddress, WhatIsNoneIsRefused) {
  Metrics metrics;
  for (const char* address : {"", "8081", "host", "host:", "host:port", "host:65536", "host:-1", "::1:80", ":80"}) {
    const absl::Status status = TelemetryServer::Start(address, metrics).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << address;
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("\"", address, "\"")));
  }
}

}  // namespace
}  // namespace splitft::telemetry
