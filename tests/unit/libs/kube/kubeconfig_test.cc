#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "libs/base/file.h"
#include "libs/kube/cluster.h"
#include "tests/unit/libs/kube/manual_clock.h"

namespace splitft::kube {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kHead[] = R"(
current-context: lab
contexts:
- name: other
  context: {cluster: far, user: nobody}
- name: lab
  context: {cluster: near, user: me, namespace: tenant}
)";

constexpr char kNear[] = R"(
clusters:
- name: far
  cluster: {server: "https://far:6443", insecure-skip-tls-verify: true}
- name: near
  cluster: {server: "https://near:6443"}
)";

constexpr char kNobody[] = R"(
users:
- name: nobody
- name: me
  user: {token: abc}
)";

class KubeconfigTest : public ::testing::Test {
 protected:
  KubeconfigTest() : folder_(fs::temp_directory_path() / ("splitft_kubeconfig_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~KubeconfigTest() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) const {
    ASSERT_TRUE(WriteFileAtomically(folder_ / name, text).ok());
  }
  absl::StatusOr<Cluster> Read(const std::string& text, const std::string& context = "") const {
    Write("config", text);
    return FromKubeconfig(folder_ / "config", context, clock_);
  }
  absl::StatusOr<Cluster> ReadUser(const std::string& user) const {
    return Read(std::string(kHead) + kNear + "\nusers:\n- name: me\n  user: " + user + "\n");
  }
  absl::StatusOr<Cluster> ReadCluster(const std::string& cluster) const {
    return Read(std::string(kHead) + kNobody + "\nclusters:\n- name: near\n  cluster: " + cluster + "\n");
  }
  // The error has the code, and names the file and what `text` says.
  void ExpectError(const absl::StatusOr<Cluster>& cluster, absl::StatusCode code, const std::string& text) const {
    EXPECT_EQ(cluster.status().code(), code) << cluster.status();
    EXPECT_THAT(std::string(cluster.status().message()), HasSubstr(text));
    EXPECT_THAT(std::string(cluster.status().message()), HasSubstr((folder_ / "config").string()));
  }

  const fs::path folder_;
  ManualClock clock_;
};

TEST_F(KubeconfigTest, TheCurrentContextLeadsToClusterUserAndNamespace) {
  const absl::StatusOr<Cluster> cluster = Read(std::string(kHead) + kNear + kNobody);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(cluster->server, "https://near:6443");
  EXPECT_EQ(cluster->name_space, "tenant");
  EXPECT_FALSE(cluster->insecure_skip_verify);
  EXPECT_EQ(cluster->ca_pem, "");
  EXPECT_EQ(cluster->credentials->Get().value().token, "abc");
}

TEST_F(KubeconfigTest, ANamedContextCountsBeforeTheCurrentOne) {
  const absl::StatusOr<Cluster> cluster = Read(std::string(kHead) + kNear + kNobody, "other");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(cluster->server, "https://far:6443");
  EXPECT_EQ(cluster->name_space, "default");
  EXPECT_TRUE(cluster->insecure_skip_verify);
  EXPECT_EQ(cluster->credentials, nullptr);
}

TEST_F(KubeconfigTest, CertificatesMayBeInline) {
  const absl::StatusOr<Cluster> near = ReadCluster(R"({server: "https://near", certificate-authority-data: Y2E=})");
  ASSERT_TRUE(near.ok()) << near.status();
  EXPECT_EQ(near->ca_pem, "ca");
  const absl::StatusOr<Cluster> me = ReadUser("{client-certificate-data: Y2VydA==, client-key-data: a2V5}");
  ASSERT_TRUE(me.ok()) << me.status();
  EXPECT_EQ(me->credentials->Get().value(), (Credential{.token = "", .certificate_pem = "cert", .key_pem = "key"}));
}

TEST_F(KubeconfigTest, FilesAreBesideTheKubeconfig) {
  Write("ca.pem", "from file");
  Write("cert.pem", "c");
  Write("key.pem", "k");
  Write("token", "t\n");
  const absl::StatusOr<Cluster> near = ReadCluster(R"({server: "https://near", certificate-authority: ca.pem})");
  ASSERT_TRUE(near.ok()) << near.status();
  EXPECT_EQ(near->ca_pem, "from file");
  const absl::StatusOr<Cluster> me =
      ReadUser("{client-certificate: cert.pem, client-key: \"" + (folder_ / "key.pem").string() + "\"}");
  ASSERT_TRUE(me.ok()) << me.status();
  EXPECT_EQ(me->credentials->Get().value(), (Credential{.token = "", .certificate_pem = "c", .key_pem = "k"}));
  const absl::StatusOr<Cluster> with_file = ReadUser("{tokenFile: token}");
  ASSERT_TRUE(with_file.ok()) << with_file.status();
  EXPECT_EQ(with_file->credentials->Get().value().token, "t");
}

TEST_F(KubeconfigTest, APluginIsRunFromBesideTheKubeconfig) {
  Write("plugin", R"(#!/bin/sh
echo "{\"kind\": \"ExecCredential\", \"apiVersion\": \"client.authentication.k8s.io/v1\",
       \"status\": {\"token\": \"$1-$2-$MODE\"}}")");
  fs::permissions(folder_ / "plugin", fs::perms::owner_all);
  const absl::StatusOr<Cluster> cluster = ReadUser(
      "{exec: {command: ./plugin, apiVersion: client.authentication.k8s.io/v1, args: [a, 5], "
      "env: [{name: MODE, value: quick}]}}");
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  const absl::StatusOr<Credential> credential = cluster->credentials->Get();
  ASSERT_TRUE(credential.ok()) << credential.status();
  EXPECT_EQ(credential->token, "a-5-quick");
}

TEST_F(KubeconfigTest, WhatIsMissingIsNamed) {
  ExpectError(FromKubeconfig(folder_ / "config", "", clock_), absl::StatusCode::kNotFound, "kubeconfig");
  const std::string rest = std::string(kNear) + kNobody;
  ExpectError(Read(""), absl::StatusCode::kInvalidArgument, "current-context is missing");
  ExpectError(Read(rest, "lab"), absl::StatusCode::kNotFound, "contexts has none called \"lab\"");
  ExpectError(Read(std::string(kHead) + rest, "third"), absl::StatusCode::kNotFound,
              "contexts has none called \"third\"");
  ExpectError(Read(std::string(kHead) + kNobody), absl::StatusCode::kNotFound, "clusters has none called \"near\"");
  ExpectError(Read(std::string(kHead) + kNear), absl::StatusCode::kNotFound, "users has none called \"me\"");
  ExpectError(Read("contexts: [{name: a}]\n" + rest, "a"), absl::StatusCode::kInvalidArgument,
              "contexts[a].context.cluster is missing");
  ExpectError(ReadCluster("{}"), absl::StatusCode::kInvalidArgument, "clusters[near].cluster.server is missing");
  ExpectError(ReadUser("{exec: {apiVersion: v1}}"), absl::StatusCode::kInvalidArgument,
              "users[me].user.exec.command is missing");
  ExpectError(ReadUser("{exec: {command: x}}"), absl::StatusCode::kInvalidArgument,
              "users[me].user.exec.apiVersion is missing");
  ExpectError(ReadUser("{client-certificate: none.pem}"), absl::StatusCode::kNotFound,
              "users[me].user.client-certificate: ");
}

TEST_F(KubeconfigTest, WhatHasTheWrongShapeIsNamed) {
  ExpectError(Read("current-context: [lab]"), absl::StatusCode::kInvalidArgument, "current-context is no text");
  ExpectError(Read("current-context: lab\ncontexts: {lab: {}}"), absl::StatusCode::kInvalidArgument,
              "contexts is no list");
  ExpectError(Read("current-context: lab\ncontexts: [lab]"), absl::StatusCode::kInvalidArgument,
              "contexts is no list of mappings");
  ExpectError(ReadCluster("{server: {}}"), absl::StatusCode::kInvalidArgument,
              "clusters[near].cluster.server is no text");
  ExpectError(ReadCluster(R"({server: "https://near", certificate-authority-data: "no base64!"})"),
              absl::StatusCode::kInvalidArgument, "clusters[near].cluster.certificate-authority-data is not in base64");
  ExpectError(ReadUser("{client-key-data: '?'}"), absl::StatusCode::kInvalidArgument,
              "users[me].user.client-key-data is not in base64");
  ExpectError(ReadUser("{exec: {command: x, apiVersion: v1, args: {}}}"), absl::StatusCode::kInvalidArgument,
              "users[me].user.exec.args is no list");
  ExpectError(ReadUser("{exec: {command: x, apiVersion: v1, args: [[]]}}"), absl::StatusCode::kInvalidArgument,
              "users[me].user.exec.args is no list of texts");
  ExpectError(ReadUser("{exec: {command: x, apiVersion: v1, env: [A=B]}}"), absl::StatusCode::kInvalidArgument,
              "users[me].user.exec.env is no list of mappings");
  ExpectError(ReadUser("{exec: {command: x, apiVersion: v1, env: [{name: A}, {value: b}]}}"),
              absl::StatusCode::kInvalidArgument, "users[me].user.exec.env[1].name is missing");
}

TEST_F(KubeconfigTest, BrokenYamlIsAnErrorOfTheFile) {
  ExpectError(Read("contexts: [\n"), absl::StatusCode::kInvalidArgument, "line");
  ExpectError(Read("a: b: c"), absl::StatusCode::kInvalidArgument, "line 1");
  ExpectError(Read("just text"), absl::StatusCode::kInvalidArgument, "current-context is missing");
  ExpectError(Read("- a\n- b\n"), absl::StatusCode::kInvalidArgument, "current-context is missing");
}

TEST_F(KubeconfigTest, WhatWeCannotDoIsRefusedNotIgnored) {
  for (const char* field : {"auth-provider", "username", "as", "as-uid", "as-groups", "as-user-extra"}) {
    ExpectError(ReadUser(std::string("{token: t, ") + field + ": x}"), absl::StatusCode::kUnimplemented,
                std::string("users[me].user.") + field + " is not supported");
  }
  for (const char* field : {"proxy-url", "tls-server-name"}) {
    ExpectError(ReadCluster(std::string("{server: \"https://near\", ") + field + ": x}"),
                absl::StatusCode::kUnimplemented, std::string("clusters[near].cluster.") + field + " is not supported");
  }
}

}  // namespace
}  // namespace splitft::kube
