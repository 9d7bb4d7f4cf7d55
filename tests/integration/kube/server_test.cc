// The server that the tests share, and what a connection to it does.

#include "tests/integration/kube/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "libs/kube/api_error.h"
#include "libs/kube/credentials.h"
#include "tests/support/kube/api_server_environment.h"

namespace splitft::kube {
namespace {

using testing::HasSubstr;

// gtest owns it.
ApiServerEnvironment* const environment =
    static_cast<ApiServerEnvironment*>(testing::AddGlobalTestEnvironment(new ApiServerEnvironment));

}  // namespace

TestApiServer& Server() { return environment->server(); }

std::unique_ptr<Transport> Connect(const std::filesystem::path& kubeconfig) {
  absl::StatusOr<Cluster> cluster = FromKubeconfig(kubeconfig, "", SystemClock());
  EXPECT_TRUE(cluster.ok()) << cluster.status();
  absl::StatusOr<std::unique_ptr<Transport>> transport = MakeHttpTransport(*cluster, {}, SystemClock());
  EXPECT_TRUE(transport.ok()) << transport.status();
  return *std::move(transport);
}

std::string MakeNamespace(Client& client, const std::string& purpose) {
  static std::atomic<int> count = 0;
  const std::string name = absl::StrCat(purpose, "-", ++count);
  const absl::Status made =
      client.Create(kNamespace, {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}}).status();
  EXPECT_TRUE(made.ok()) << made;
  return name;
}

namespace {

// What the server says to `GET /version` on the terms of `cluster`.
absl::StatusOr<Json> Version(Cluster cluster) {
  absl::StatusOr<std::unique_ptr<Transport>> transport = MakeHttpTransport(std::move(cluster), {}, SystemClock());
  if (!transport.ok()) {
    return transport.status();
  }
  Client client(**transport, SystemClock(), {.attempts = 1});
  return client.Call(PathRequest("/version"));
}

Cluster ClusterOf(const std::filesystem::path& kubeconfig) {
  absl::StatusOr<Cluster> cluster = FromKubeconfig(kubeconfig, "", SystemClock());
  EXPECT_TRUE(cluster.ok()) << cluster.status();
  return *std::move(cluster);
}

TEST(Connection, WithAToken) {
  const absl::StatusOr<Json> version = Version(ClusterOf(Server().kubeconfig()));
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(TextAt(*version, {"major"}), "1");
}

TEST(Connection, WithACertificate) {
  const auto transport = Connect(Server().certificate_kubeconfig());
  Client client(*transport, SystemClock());
  EXPECT_TRUE(client.List(kNamespace, {}).ok());
}

TEST(Connection, TrustsOnlyTheClustersAuthorities) {
  Cluster cluster = ClusterOf(Server().kubeconfig());
  cluster.ca_pem.clear();  // the system's own do not know this server
  const absl::Status status = Version(cluster).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("certificate"));
}

TEST(Connection, NamesAServerThatIsNotThere) {
  Cluster cluster = ClusterOf(Server().kubeconfig());
  cluster.server = "https://127.0.0.1:1";
  const absl::Status status = Version(cluster).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("127.0.0.1:1"));
}

TEST(Connection, AWrongTokenIsUnauthenticated) {
  Cluster cluster = ClusterOf(Server().kubeconfig());
  cluster.credentials = FixedCredential({.token = "wrong", .certificate_pem = {}, .key_pem = {}});
  const auto transport = MakeHttpTransport(cluster, {}, SystemClock()).value();
  Client client(*transport, SystemClock());
  EXPECT_TRUE(absl::IsUnauthenticated(client.List(kNamespace, {}).status()));
}

TEST(Connection, WhoMayNotIsForbidden) {
  const auto transport = Connect(Server().operator_kubeconfig());
  Client client(*transport, SystemClock());
  const absl::Status status = client.List(kNamespace, {}).status();
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("operator"));
}

// A token that works no more, until somebody asks for another.
class Renewed final : public CredentialSource {
 public:
  explicit Renewed(std::shared_ptr<CredentialSource> real) : real_(std::move(real)) {}
  absl::StatusOr<Credential> Get() override {
    return refused_ ? real_->Get() : Credential{.token = "old", .certificate_pem = {}, .key_pem = {}};
  }
  void Refused() override { refused_ = true; }

 private:
  const std::shared_ptr<CredentialSource> real_;
  std::atomic<bool> refused_ = false;
};

TEST(Connection, AsksForAnotherTokenWhenTheServerRefusesIt) {
  Cluster cluster = ClusterOf(Server().kubeconfig());
  cluster.credentials = std::make_shared<Renewed>(cluster.credentials);
  const auto transport = MakeHttpTransport(cluster, {}, SystemClock()).value();
  Client client(*transport, SystemClock());
  EXPECT_TRUE(client.List(kNamespace, {}).ok());
}

}  // namespace
}  // namespace splitft::kube
