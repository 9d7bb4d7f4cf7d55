// The rig that tests of the Kubernetes parts stand on: what its header promises.
#include "tests/support/kube/api_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "libs/base/clock.h"
#include "tests/support/kube/api_server_environment.h"

namespace splitft {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

auto* const environment =
    static_cast<ApiServerEnvironment*>(::testing::AddGlobalTestEnvironment(new ApiServerEnvironment));

// What kubectl prints, or the error in words.
std::string Kubectl(const TestApiServer& server, const std::vector<std::string>& words) {
  const absl::StatusOr<std::string> printed = server.Kubectl(words);
  return printed.ok() ? *printed : printed.status().ToString();
}

// Polls until `condition` holds; false when it did not in time.
template <typename Condition>
bool Eventually(Condition&& condition) {
  const TimePoint deadline = SystemClock().Now() + std::chrono::seconds(30);
  while (!condition() && SystemClock().Now() < deadline) {
    SystemClock().SleepFor(std::chrono::milliseconds(50));
  }
  return condition();
}

std::string WhoIs(const TestApiServer& server, const fs::path& kubeconfig) {
  return Kubectl(server, {"auth", "whoami", "--output=jsonpath={.status.userInfo.username} {.status.userInfo.groups}",
                          "--kubeconfig", kubeconfig.string()});
}

TEST(ApiServer, IsARecentKubernetes) {
  EXPECT_THAT(Kubectl(environment->server(), {"get", "--raw", "/version"}), HasSubstr("\"major\": \"1\""));
}

TEST(ApiServer, KnowsItsUsersByTokenAndByCertificate) {
  const TestApiServer& server = environment->server();
  EXPECT_EQ(WhoIs(server, server.kubeconfig()), R"(admin ["system:masters","system:authenticated"])");
  EXPECT_EQ(WhoIs(server, server.operator_kubeconfig()), R"(operator ["system:authenticated"])");
  EXPECT_EQ(WhoIs(server, server.certificate_kubeconfig()),
            R"(certificate-admin ["system:masters","system:authenticated"])");
}

TEST(ApiServer, AllowsTheOperatorWhatRbacAllows) {
  const TestApiServer& server = environment->server();
  const std::vector<std::string> list{"get", "configmaps", "--kubeconfig", server.operator_kubeconfig().string()};
  EXPECT_THAT(Kubectl(server, list), HasSubstr("User \"operator\" cannot list resource \"configmaps\""));
  EXPECT_THAT(Kubectl(server, {"create", "clusterrole", "reader", "--verb=list", "--resource=configmaps"}),
              HasSubstr("created"));
  EXPECT_THAT(Kubectl(server, {"create", "clusterrolebinding", "reader", "--clusterrole=reader", "--user=operator"}),
              HasSubstr("created"));
  EXPECT_TRUE(Eventually([&] { return server.Kubectl(list).ok(); })) << Kubectl(server, list);
}

TEST(ApiServer, KeepsItsDataWhenItIsKilled) {
  TestApiServer& server = environment->server();
  ASSERT_THAT(Kubectl(server, {"create", "configmap", "kept", "--from-literal=key=value"}), HasSubstr("created"));
  ASSERT_TRUE(server.Kill().ok());
  EXPECT_THAT(Kubectl(server, {"get", "configmap", "kept"}), HasSubstr("refused"));
  const absl::Status restarted = server.Restart();
  ASSERT_TRUE(restarted.ok()) << restarted;
  EXPECT_EQ(Kubectl(server, {"get", "configmap", "kept", "--output=jsonpath={.data.key}"}), "value");
  EXPECT_THAT(server.Restart().ToString(), HasSubstr("runs already"));
}

// A program that starts a server of its own and then waits to be killed.
class OtherProgram {
 public:
  OtherProgram() {
    std::array<int, 2> pipe{};
    EXPECT_EQ(::pipe(pipe.data()), 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      StartAndWait(pipe[1]);
    }
    ::close(pipe[1]);
    said_.resize(4096);
    const ssize_t got = ::read(pipe[0], said_.data(), said_.size());
    said_.resize(got > 0 ? static_cast<size_t>(got) : 0);
    ::close(pipe[0]);
  }
  OtherProgram(const OtherProgram&) = delete;
  ~OtherProgram() { Kill(); }

  // Its server's kubeconfig, or why it has none.
  const std::string& said() const { return said_; }

  void Kill() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(std::exchange(pid_, -1), nullptr, 0);
    }
  }

 private:
  [[noreturn]] static void StartAndWait(int tell) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const absl::StatusOr<std::unique_ptr<TestApiServer>> server = TestApiServer::Start();
    const std::string said = server.ok() ? (*server)->kubeconfig().string() : server.status().ToString();
    [[maybe_unused]] const ssize_t sent = ::write(tell, said.data(), said.size());
    while (true) {
      ::pause();
    }
  }

  pid_t pid_ = -1;
  std::string said_;
};

TEST(ApiServer, StandsBesideAnotherAndEndsWithItsProgram) {
  OtherProgram other;
  const fs::path kubeconfig = other.said();
  ASSERT_TRUE(fs::exists(kubeconfig)) << other.said();

  EXPECT_THAT(Kubectl(environment->server(), {"create", "namespace", "only-here"}), HasSubstr("created"));
  EXPECT_THAT(Kubectl(environment->server(), {"get", "namespaces", "--kubeconfig", kubeconfig.string()}),
              AllOf(HasSubstr("kube-system"), Not(HasSubstr("only-here"))));

  other.Kill();
  EXPECT_TRUE(Eventually([&] { return !fs::exists(kubeconfig.parent_path()); })) << kubeconfig;
}

}  // namespace
}  // namespace splitft
