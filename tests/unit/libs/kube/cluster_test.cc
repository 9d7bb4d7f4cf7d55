#include "libs/kube/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>

namespace splitft::kube {
namespace {

using ::testing::HasSubstr;

// An environment variable for as long as it lives.
class Variable {
 public:
  Variable(const char* name, const std::optional<std::string>& value) : name_(name) {
    if (const char* before = std::getenv(name)) {
      before_ = before;
    }
    Set(value);
  }
  ~Variable() { Set(before_); }
  Variable(const Variable&) = delete;

 private:
  void Set(const std::optional<std::string>& value) {
    value.has_value() ? ::setenv(name_, value->c_str(), 1) : ::unsetenv(name_);
  }
  const char* name_;
  std::optional<std::string> before_;
};

TEST(InCluster, OutsideAPodSaysSo) {
  const Variable host("KUBERNETES_SERVICE_HOST", std::nullopt);
  const Variable port("KUBERNETES_SERVICE_PORT", "443");
  const absl::Status status = InCluster(SystemClock()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("KUBERNETES_SERVICE_HOST"));
}

TEST(InCluster, WithoutAPortIsOutsideToo) {
  const Variable host("KUBERNETES_SERVICE_HOST", "10.0.0.1");
  const Variable port("KUBERNETES_SERVICE_PORT", "");
  EXPECT_TRUE(absl::IsFailedPrecondition(InCluster(SystemClock()).status()));
}

TEST(InCluster, TakesAddressAuthoritiesAndTokenFromThePod) {
  const Variable host("KUBERNETES_SERVICE_HOST", "fd00::1");
  const Variable port("KUBERNETES_SERVICE_PORT", "6443");
  const absl::StatusOr<Cluster> cluster = InCluster(SystemClock());
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(cluster->server, "https://[fd00::1]:6443");
  EXPECT_EQ(cluster->ca_file, "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt");
  EXPECT_FALSE(cluster->insecure_skip_verify);
  EXPECT_NE(cluster->credentials, nullptr);
}

TEST(DefaultCluster, TheNamedKubeconfigComesFirst) {
  const Variable file("KUBECONFIG", "/nonexistent/kubeconfig");
  const absl::Status status = DefaultCluster(SystemClock()).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("/nonexistent/kubeconfig"));
}

TEST(DefaultCluster, WithNeitherFileNorPodItSaysWhatIsMissing) {
  const Variable file("KUBECONFIG", std::nullopt);
  const Variable home("HOME", "/nonexistent");
  const Variable host("KUBERNETES_SERVICE_HOST", std::nullopt);
  EXPECT_TRUE(absl::IsFailedPrecondition(DefaultCluster(SystemClock()).status()));
}

}  // namespace
}  // namespace splitft::kube
