#include "libs/transport/listen_check.h"

#include <gtest/gtest.h>

namespace splitft::transport {
namespace {

TEST(ParseHostPort, TakesAddressesApart) {
  const absl::StatusOr<HostPort> v4 = ParseHostPort("127.0.0.1:80");
  ASSERT_TRUE(v4.ok());
  EXPECT_EQ(v4->host, "127.0.0.1");
  EXPECT_EQ(v4->port, 80);
  const absl::StatusOr<HostPort> v6 = ParseHostPort("[::1]:65535");
  ASSERT_TRUE(v6.ok());
  EXPECT_EQ(v6->host, "::1");
  EXPECT_EQ(v6->port, 65535);
  EXPECT_EQ(ParseHostPort("aggregator.jobs.svc:0")->host, "aggregator.jobs.svc");
}

TEST(ParseHostPort, RefusesWhatIsNoAddress) {
  for (const char* address :
       {"", ":", "host", "host:", ":80", "host:-1", "host:65536", "host:8o", "::1:80", "[::1]", "[]:1"}) {
    EXPECT_EQ(ParseHostPort(address).status().code(), absl::StatusCode::kInvalidArgument) << address;
  }
}

}  // namespace
}  // namespace splitft::transport
