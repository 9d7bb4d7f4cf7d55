#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/base/clock.h"

namespace splitft::kube {

// What a client shows the API server beside the connection: a bearer token, a certificate, or nothing.
struct Credential {
  std::string token;
  std::string certificate_pem;
  std::string key_pem;

  bool operator==(const Credential&) const = default;
};

// Where credentials come from. Thread-safe.
class CredentialSource {
 public:
  virtual ~CredentialSource() = default;
  // What is valid now; cheap to call for every request. An error where none can be had.
  virtual absl::StatusOr<Credential> Get() = 0;
  // The server did not accept what Get gave last (401): a source that can make another does so at the next Get.
  virtual void Refused() {}
};

// How to reach an API server and as whom.
struct Cluster {
  std::string server;  // "https://host:port"; a path after it is kept
  std::string name_space = "default";
  std::string ca_pem;             // empty: the system's authorities
  std::filesystem::path ca_file;  // read again when it changes; in place of ca_pem
  bool insecure_skip_verify = false;
  std::shared_ptr<CredentialSource> credentials;  // null: none
};

// From the pod's service account: KUBERNETES_SERVICE_HOST and _PORT, and the files that kubelet renews.
// FailedPrecondition where this process runs in no pod.
absl::StatusOr<Cluster> InCluster(const Clock& clock);

// From a kubeconfig: its current context, or the one that is named. Certificates and tokens inline or in files
// (relative to the kubeconfig's folder), and `exec` plugins. NotFound, InvalidArgument with file and field;
// Unimplemented for auth providers and proxies.
absl::StatusOr<Cluster> FromKubeconfig(const std::filesystem::path& file, const std::string& context,
                                       const Clock& clock);

// As kubectl looks: $KUBECONFIG (one file), else ~/.kube/config, else the pod's own.
absl::StatusOr<Cluster> DefaultCluster(const Clock& clock);

}  // namespace splitft::kube
