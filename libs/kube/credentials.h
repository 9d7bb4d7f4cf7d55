#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libs/kube/cluster.h"

namespace splitft::kube {

// The same for ever.
std::shared_ptr<CredentialSource> FixedCredential(Credential credential);

// A bearer token in a file that somebody renews (kubelet): read again after a minute, or when the server refused it.
// While the file cannot be read or is empty, the last token is shown. Unauthenticated where there was none yet.
std::shared_ptr<CredentialSource> TokenFile(std::filesystem::path file, const Clock& clock);

// A client-go credential plugin: a program that prints an ExecCredential
// (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins).
struct ExecPlugin {
  std::string command;  // a path, or a name that $PATH leads to
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;  // beside this process' own
  std::string api_version;
  std::string install_hint;
};
// Runs the plugin when there is no credential yet, the last one has expired, or the server refused it. Unauthenticated
// where it fails or prints no credential.
std::shared_ptr<CredentialSource> ExecCredential(ExecPlugin plugin, const Clock& clock);

// What a plugin printed. InvalidArgument where it is no ExecCredential of `api_version` with a token, or with a
// certificate and its key.
struct PluginAnswer {
  Credential credential;
  std::string expiration;  // RFC 3339; empty: none
};
absl::StatusOr<PluginAnswer> ParseExecCredential(std::string_view text, std::string_view api_version);

}  // namespace splitft::kube
