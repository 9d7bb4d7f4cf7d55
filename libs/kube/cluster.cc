#include "libs/kube/cluster.h"

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/kube/credentials.h"

namespace splitft::kube {
namespace {

namespace fs = std::filesystem;

constexpr char kServiceAccount[] = "/var/run/secrets/kubernetes.io/serviceaccount";

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

absl::StatusOr<Cluster> InCluster(const Clock& clock) {
  const std::string host = Variable("KUBERNETES_SERVICE_HOST");
  const std::string port = Variable("KUBERNETES_SERVICE_PORT");
  if (host.empty() || port.empty()) {
    return absl::FailedPreconditionError(
        "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; name a kubeconfig");
  }
  const fs::path folder = kServiceAccount;
  const bool is_ipv6 = host.find(':') != std::string::npos;
  Cluster cluster;
  cluster.server = absl::StrCat("https://", is_ipv6 ? absl::StrCat("[", host, "]") : host, ":", port);
  cluster.ca_file = folder / "ca.crt";
  cluster.credentials = TokenFile(folder / "token", clock);
  if (const absl::StatusOr<std::string> text = ReadFile(folder / "namespace", 4096); text.ok()) {
    if (const auto name_space = absl::StripAsciiWhitespace(*text); !name_space.empty()) {
      cluster.name_space = std::string(name_space);
    }
  }
  return cluster;
}

absl::StatusOr<Cluster> DefaultCluster(const Clock& clock) {
  std::error_code error;
  if (const std::string file = Variable("KUBECONFIG"); !file.empty()) {
    return FromKubeconfig(file, "", clock);
  }
  const fs::path own = fs::path(Variable("HOME")) / ".kube/config";
  return fs::exists(own, error) ? FromKubeconfig(own, "", clock) : InCluster(clock);
}

}  // namespace splitft::kube
