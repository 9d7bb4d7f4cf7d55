#pragma once

#include <memory>
#include <string>
#include <utility>

#include "libs/kube/client.h"
#include "libs/kube/cluster.h"
#include "libs/kube/http_transport.h"
#include "tests/support/kube/api_server.h"

namespace splitft::kube {

inline const ResourceType kConfigMap{"", "v1", "ConfigMap", "configmaps"};
inline const ResourceType kNamespace{"", "v1", "Namespace", "namespaces", /*namespaced=*/false};

// The API server that all tests of this program share.
TestApiServer& Server();

// A transport as the user of `kubeconfig`.
std::unique_ptr<Transport> Connect(const std::filesystem::path& kubeconfig);

// A namespace that no other test has; its name.
std::string MakeNamespace(Client& client, const std::string& purpose);

inline Json ConfigMap(const std::string& name_space, const std::string& name, const Json& data = Json::object()) {
  return {{"apiVersion", "v1"},
          {"kind", "ConfigMap"},
          {"metadata", {{"name", name}, {"namespace", name_space}}},
          {"data", data}};
}

}  // namespace splitft::kube
