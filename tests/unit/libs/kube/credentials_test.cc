#include "libs/kube/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/time/time.h"
#include "libs/base/file.h"
#include "libs/kube/object.h"
#include "libs/kube/plugin_process.h"
#include "tests/unit/libs/kube/manual_clock.h"

namespace splitft::kube {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr char kVersion[] = "client.authentication.k8s.io/v1";

class CredentialsTest : public ::testing::Test {
 protected:
  CredentialsTest() : folder_(fs::temp_directory_path() / ("splitft_credentials_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~CredentialsTest() override { fs::remove_all(folder_); }

  fs::path Write(const std::string& name, const std::string& text) const {
    EXPECT_TRUE(WriteFileAtomically(folder_ / name, text).ok());
    return folder_ / name;
  }
  // A plugin that says what the file `answer` holds, and notes each run in `runs`.
  ExecPlugin Plugin(const std::string& more = "") const {
    const fs::path script = Write("plugin", "#!/bin/sh\necho run >> " + (folder_ / "runs").string() + "\n" + more +
                                                "\ncat " + (folder_ / "answer").string() + "\n");
    fs::permissions(script, fs::perms::owner_all);
    return {
        .command = script.string(), .arguments = {}, .environment = {}, .api_version = kVersion, .install_hint = {}};
  }
  void Say(const std::string& token, const std::string& expiration = "") const {
    Json answer = {{"kind", "ExecCredential"}, {"apiVersion", kVersion}, {"status", {{"token", token}}}};
    if (!expiration.empty()) {
      answer["status"]["expirationTimestamp"] = expiration;
    }
    Write("answer", answer.dump());
  }
  size_t Runs() const { return ReadFile(folder_ / "runs", 1000).value_or("").size() / 4; }

  const fs::path folder_;
  ManualClock clock_;
};

std::string TokenOf(CredentialSource& source) {
  const absl::StatusOr<Credential> credential = source.Get();
  return credential.ok() ? credential->token : credential.status().ToString();
}

TEST_F(CredentialsTest, AFixedCredentialIsTheSameForEver) {
  const auto source = FixedCredential({.token = "t", .certificate_pem = "c", .key_pem = "k"});
  source->Refused();
  EXPECT_EQ(source->Get().value(), (Credential{.token = "t", .certificate_pem = "c", .key_pem = "k"}));
}

TEST_F(CredentialsTest, ATokenFileIsReadAgainAfterAMinute) {
  const auto source = TokenFile(Write("token", " one\n\n"), clock_);
  EXPECT_EQ(TokenOf(*source), "one");
  Write("token", "two");
  clock_.Advance(seconds(59));
  EXPECT_EQ(TokenOf(*source), "one");
  clock_.Advance(seconds(1));
  EXPECT_EQ(TokenOf(*source), "two");
}

TEST_F(CredentialsTest, ARefusedTokenIsReadAgainAtOnce) {
  const auto source = TokenFile(Write("token", "one"), clock_);
  EXPECT_EQ(TokenOf(*source), "one");
  Write("token", "two");
  source->Refused();
  EXPECT_EQ(TokenOf(*source), "two");
}

TEST_F(CredentialsTest, WhileTheFileIsMissingOrEmptyTheLastTokenIsShown) {
  const fs::path file = Write("token", "one");
  const auto source = TokenFile(file, clock_);
  EXPECT_EQ(TokenOf(*source), "one");
  fs::remove(file);
  clock_.Advance(seconds(61));
  EXPECT_EQ(TokenOf(*source), "one");
  source->Refused();
  EXPECT_EQ(TokenOf(*source), "one");
  Write("token", "\n");
  EXPECT_EQ(TokenOf(*source), "one");
  Write("token", "three");
  EXPECT_EQ(TokenOf(*source), "three");
}

TEST_F(CredentialsTest, WithoutAnyTokenWeAreNotAnonymous) {
  const auto missing = TokenFile(folder_ / "missing", clock_);
  EXPECT_TRUE(absl::IsUnauthenticated(missing->Get().status()));
  EXPECT_THAT(TokenOf(*missing), HasSubstr((folder_ / "missing").string()));
  const auto empty = TokenFile(Write("empty", "  \n"), clock_);
  EXPECT_TRUE(absl::IsUnauthenticated(empty->Get().status()));
  EXPECT_THAT(TokenOf(*empty), HasSubstr("holds no token"));
}

TEST_F(CredentialsTest, APluginRunsOnceUntilItsCredentialExpires) {
  const std::chrono::milliseconds wall = clock_.WallTime();
  Say("one", absl::FormatTime(absl::RFC3339_full, absl::FromUnixMillis(wall.count()) + absl::Seconds(100),
                              absl::UTCTimeZone()));
  const auto source = ExecCredential(Plugin(), clock_);
  EXPECT_EQ(Runs(), 0U);
  EXPECT_EQ(TokenOf(*source), "one");
  clock_.Advance(seconds(89));
  EXPECT_EQ(TokenOf(*source), "one");
  EXPECT_EQ(Runs(), 1U);
  Say("two");
  clock_.Advance(seconds(2));  // it would expire on its way
  EXPECT_EQ(TokenOf(*source), "two");
  clock_.Advance(std::chrono::hours(1000));
  EXPECT_EQ(TokenOf(*source), "two") << "without an expiration it is good until it is refused";
  EXPECT_EQ(Runs(), 2U);
  Say("three");
  source->Refused();
  EXPECT_EQ(TokenOf(*source), "three");
  EXPECT_EQ(Runs(), 3U);
}

TEST_F(CredentialsTest, APluginHasArgumentsEnvironmentAndWhatItIsAskedFor) {
  Write("answer", "");
  ExecPlugin plugin = Plugin("echo \"$1|$2|$OWN|$PATH|$KUBERNETES_EXEC_INFO\"");
  plugin.arguments = {"first", "second word"};
  plugin.environment = {{"OWN", "a=b"}, {"PATH", "/replaced:/usr/bin:/bin"}};
  const absl::StatusOr<std::string> output = RunPlugin(plugin);
  ASSERT_TRUE(output.ok()) << output.status();
  EXPECT_THAT(*output, HasSubstr("first|second word|a=b|/replaced:/usr/bin:/bin|{"));
  const Json info = Json::parse(output->substr(output->find('{')));
  EXPECT_EQ(TextAt(info, {"kind"}), "ExecCredential");
  EXPECT_EQ(TextAt(info, {"apiVersion"}), kVersion);
}

TEST_F(CredentialsTest, APluginThatFailsSaysWhyAndHowToInstallIt) {
  Say("one");
  ExecPlugin plugin = Plugin("exit 3");
  plugin.install_hint = "apt install it";
  const absl::Status failed = ExecCredential(plugin, clock_)->Get().status();
  EXPECT_TRUE(absl::IsUnauthenticated(failed)) << failed;
  EXPECT_THAT(std::string(failed.message()), HasSubstr("ended with code 3"));
  EXPECT_THAT(std::string(failed.message()), HasSubstr("apt install it"));

  const absl::Status killed = ExecCredential(Plugin("kill -9 $$"), clock_)->Get().status();
  EXPECT_THAT(std::string(killed.message()), HasSubstr("ended with signal 9"));

  plugin.command = (folder_ / "no-such-plugin").string();
  const absl::Status missing = ExecCredential(plugin, clock_)->Get().status();
  EXPECT_TRUE(absl::IsUnauthenticated(missing)) << missing;
  EXPECT_THAT(std::string(missing.message()), HasSubstr("no-such-plugin"));
}

TEST_F(CredentialsTest, APluginThatPrintsNoCredentialIsUnauthenticatedAndAskedAgain) {
  Write("answer", "Please log in");
  const auto source = ExecCredential(Plugin(), clock_);
  EXPECT_TRUE(absl::IsUnauthenticated(source->Get().status())) << source->Get().status();
  Say("one");
  EXPECT_EQ(TokenOf(*source), "one");
}

TEST_F(CredentialsTest, APluginThatWritesWithoutEndIsStopped) {
  Write("answer", "");
  const absl::Status status = RunPlugin(Plugin("exec yes")).status();
  EXPECT_TRUE(absl::IsInternal(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("wrote over 1048576 bytes"));
}

TEST(ParseExecCredential, TakesATokenOrACertificateWithItsKey) {
  const absl::StatusOr<PluginAnswer> token = ParseExecCredential(
      R"({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {
          "token": "t", "expirationTimestamp": "2026-01-31T12:00:00Z"}})",
      kVersion);
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(token->credential.token, "t");
  EXPECT_EQ(token->expiration, "2026-01-31T12:00:00Z");
  const absl::StatusOr<PluginAnswer> certificate = ParseExecCredential(
      R"({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {
          "clientCertificateData": "c", "clientKeyData": "k"}})",
      kVersion);
  ASSERT_TRUE(certificate.ok()) << certificate.status();
  EXPECT_EQ(certificate->credential, (Credential{.token = "", .certificate_pem = "c", .key_pem = "k"}));
}

TEST(ParseExecCredential, RefusesWhatIsNone) {
  const std::string head = R"({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1")";
  for (const std::string& bad :
       {std::string(), std::string("no JSON"), std::string("[]"), head + "}", head + R"(, "status": {}})",
        head + R"(, "status": {"token": 5}})", head + R"(, "status": {"clientCertificateData": "c"}})",
        head + R"(, "status": {"clientKeyData": "k"}})", head + R"(, "status": {"token": "t", "clientKeyData": "k"}})",
        std::string(R"({"kind": "Secret", "apiVersion": "client.authentication.k8s.io/v1", "status": {"token": "t"}})"),
        std::string(R"({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1beta1",
                        "status": {"token": "t"}})")}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseExecCredential(bad, kVersion).status())) << bad;
  }
}

}  // namespace
}  // namespace splitft::kube
