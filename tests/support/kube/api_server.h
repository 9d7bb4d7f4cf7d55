#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace splitft {

// A real Kubernetes API on 127.0.0.1: etcd and kube-apiserver, as tests/support/kube/api_level.sh runs them (read its
// header: what runs and what does not, and the users). They end with this object, and also when this process dies.
// Needs what `scripts/setup.sh kube` installs; Start fails, and says so, where it is missing.
//
// One takes 3 s to start and 0.3 GB, so let a program's tests share one: api_server_environment.h.
//
// Thread-compatible. Every call waits for the script, at most three minutes.
class TestApiServer {
 public:
  // Returns once the server answers. Internal where it does not: with the end of its log, and where the log lies.
  static absl::StatusOr<std::unique_ptr<TestApiServer>> Start();
  TestApiServer(const TestApiServer&) = delete;
  TestApiServer& operator=(const TestApiServer&) = delete;
  ~TestApiServer();

  // A member of system:masters, by token.
  std::filesystem::path kubeconfig() const { return folder_ / "admin.kubeconfig"; }
  // The user `operator`, by token: may do what a test allows by RBAC, a moment after the server has stored it.
  std::filesystem::path operator_kubeconfig() const { return folder_ / "operator.kubeconfig"; }
  // A member of system:masters, by a client certificate; all of it inline.
  std::filesystem::path certificate_kubeconfig() const { return folder_ / "certificate.kubeconfig"; }

  // What `kubectl words...` prints as the administrator. Internal, with what it said, where it fails.
  absl::StatusOr<std::string> Kubectl(const std::vector<std::string>& words) const;

  // The API server dies as in a crash: connections break, nobody listens at its port. etcd goes on.
  absl::Status Kill();
  // Starts it again, on the same port with the same data. It begins with an empty watch cache: a watch from a version
  // before the restart is answered with 410 Gone.
  absl::Status Restart();

 private:
  explicit TestApiServer(std::filesystem::path folder) : folder_(std::move(folder)) {}

  const std::filesystem::path folder_;  // the script's DIR, below the folder for temporary files
};

}  // namespace splitft
