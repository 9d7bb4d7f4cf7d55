#include "libs/kube/http_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace splitft::kube {
namespace {

using ::testing::HasSubstr;

ServerAddress Parse(const std::string& url) {
  const absl::StatusOr<ServerAddress> address = ParseServerAddress(url);
  EXPECT_TRUE(address.ok()) << url << ": " << address.status();
  return address.ok() ? *address : ServerAddress();
}

TEST(ParseServerAddress, TakesHostPortAndPath) {
  const ServerAddress full = Parse("https://api.example:6443/clusters/a/");
  EXPECT_TRUE(full.tls);
  EXPECT_EQ(full.host, "api.example");
  EXPECT_EQ(full.port, 6443);
  EXPECT_EQ(full.path_prefix, "/clusters/a");

  const ServerAddress bare = Parse("https://10.0.0.1");
  EXPECT_EQ(bare.host, "10.0.0.1");
  EXPECT_EQ(bare.port, 443);
  EXPECT_EQ(bare.path_prefix, "");
  EXPECT_EQ(Parse("https://10.0.0.1/").path_prefix, "");

  const ServerAddress plain = Parse("http://localhost");
  EXPECT_FALSE(plain.tls);
  EXPECT_EQ(plain.port, 80);
  EXPECT_EQ(Parse("http://localhost:8001").port, 8001);
}

TEST(ParseServerAddress, TakesIpv6InBrackets) {
  EXPECT_EQ(Parse("https://[fd00::1]:6443").host, "fd00::1");
  EXPECT_EQ(Parse("https://[fd00::1]:6443").port, 6443);
  EXPECT_EQ(Parse("https://[::1]").host, "::1");
  EXPECT_EQ(Parse("https://[::1]/x").port, 443);
}

TEST(ParseServerAddress, RefusesWhatIsNone) {
  for (const char* bad :
       {"", "api.example:6443", "ftp://a", "https://", "https:///path", "https://:6443", "https://a:", "https://a:0",
        "https://a:65536", "https://a:x", "https://a:-1", "https://a:99999999999", "https://fd00::1", "https://[::1",
        "https://[]", "https://[::1]x:80", "https://user@a", "https://a?x=1"}) {
    const absl::Status status = ParseServerAddress(bad).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << bad << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("server \"" + std::string(bad) + "\"")) << bad;
  }
}

}  // namespace
}  // namespace splitft::kube
