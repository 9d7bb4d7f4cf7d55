// Reads a kubeconfig: https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/.

#include <yaml-cpp/yaml.h>

#include <system_error>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status_macros.h"
#include "libs/kube/cluster.h"
#include "libs/kube/credentials.h"

namespace splitft::kube {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFileLimit = 4 << 20;

// One mapping of the file, with the words for what is wrong in it.
class Section {
 public:
  Section(const YAML::Node& node, std::string name, fs::path folder)
      : node_(node), name_(std::move(name)), folder_(std::move(folder)) {}

  bool Has(const char* field) const { return node_.IsMap() && node_[field] && !node_[field].IsNull(); }
  YAML::Node At(const char* field) const { return Has(field) ? node_[field] : YAML::Node(); }

  // Empty where it is missing.
  absl::StatusOr<std::string> Text(const char* field) const {
    if (!Has(field)) {
      return std::string();
    }
    return node_[field].IsScalar() ? absl::StatusOr<std::string>(node_[field].Scalar()) : Bad(field, "is no text");
  }
  absl::StatusOr<std::string> RequiredText(const char* field) const {
    SPLITFT_ASSIGN_OR_RETURN(std::string text, Text(field));
    return text.empty() ? absl::StatusOr<std::string>(Bad(field, "is missing")) : std::move(text);
  }
  absl::StatusOr<std::vector<std::string>> Texts(const char* field) const {
    std::vector<std::string> texts;
    SPLITFT_ASSIGN_OR_RETURN(const std::vector<YAML::Node> elements, Elements(field));
    for (const YAML::Node& element : elements) {
      if (!element.IsScalar()) {
        return Bad(field, "is no list of texts");
      }
      texts.push_back(element.Scalar());
    }
    return texts;
  }
  // The mappings in the list `field`; none where it is missing.
  absl::StatusOr<std::vector<Section>> Sections(const char* field) const {
    std::vector<Section> sections;
    SPLITFT_ASSIGN_OR_RETURN(const std::vector<YAML::Node> elements, Elements(field));
    for (const YAML::Node& element : elements) {
      if (!element.IsMap()) {
        return Bad(field, "is no list of mappings");
      }
      sections.emplace_back(element, PathOf(absl::StrCat(field, "[", sections.size(), "]")), folder_);
    }
    return sections;
  }

  // `FIELD-data`, which is in base64, or the contents of the file that FIELD names.
  absl::StatusOr<std::string> Contents(const char* field) const {
    const std::string data_field = absl::StrCat(field, "-data");
    SPLITFT_ASSIGN_OR_RETURN(const std::string data, Text(data_field.c_str()));
    if (!data.empty()) {
      std::string decoded;
      if (!absl::Base64Unescape(data, &decoded)) {
        return Bad(data_field, "is not in base64");
      }
      return decoded;
    }
    SPLITFT_ASSIGN_OR_RETURN(const std::string file, Text(field));
    if (file.empty()) {
      return std::string();
    }
    absl::StatusOr<std::string> contents = ReadFile(Path(file), kFileLimit);
    return contents.ok() ? std::move(contents)
                         : absl::Status(contents.status().code(),
                                        absl::StrCat(PathOf(field), ": ", std::string(contents.status().message())));
  }

  fs::path Path(const std::string& file) const { return folder_ / file; }

  absl::Status Bad(std::string_view field, std::string_view why) const {
    return absl::InvalidArgumentError(absl::StrCat(PathOf(field), " ", std::string(why)));
  }
  absl::Status Unsupported(const char* field) const {
    return absl::UnimplementedError(absl::StrCat(PathOf(field), " is not supported"));
  }

 private:
  std::string PathOf(std::string_view field) const {
    return absl::StrCat(name_, name_.empty() ? "" : ".", std::string(field));
  }
  absl::StatusOr<std::vector<YAML::Node>> Elements(const char* field) const {
    const YAML::Node list = At(field);
    if (!list.IsNull() && !list.IsSequence()) {
      return Bad(field, "is no list");
    }
    return std::vector<YAML::Node>(list.begin(), list.end());
  }

  YAML::Node node_;
  std::string name_;
  fs::path folder_;
};

// The member `kind` of the element called `name` in the list `kind`s.
absl::StatusOr<Section> Named(const Section& file, const std::string& kind, const std::string& name,
                              const fs::path& folder) {
  SPLITFT_ASSIGN_OR_RETURN(const std::vector<Section> sections, file.Sections(absl::StrCat(kind, "s").c_str()));
  for (const Section& section : sections) {
    SPLITFT_ASSIGN_OR_RETURN(const std::string its_name, section.Text("name"));
    if (its_name == name) {
      return Section(section.At(kind.c_str()), absl::StrCat(kind, "s[", name, "].", kind), folder);
    }
  }
  return absl::NotFoundError(absl::StrCat(kind, "s has none called \"", name, "\""));
}

absl::StatusOr<ExecPlugin> ReadPlugin(const YAML::Node& node, const std::string& user, const fs::path& folder) {
  const Section section(node, absl::StrCat("users[", user, "].user.exec"), folder);
  ExecPlugin plugin;
  SPLITFT_ASSIGN_OR_RETURN(plugin.command, section.RequiredText("command"));
  SPLITFT_ASSIGN_OR_RETURN(plugin.api_version, section.RequiredText("apiVersion"));
  SPLITFT_ASSIGN_OR_RETURN(plugin.install_hint, section.Text("installHint"));
  if (plugin.command.find('/') != std::string::npos) {
    plugin.command = section.Path(plugin.command).string();
  }
  SPLITFT_ASSIGN_OR_RETURN(plugin.arguments, section.Texts("args"));
  SPLITFT_ASSIGN_OR_RETURN(const std::vector<Section> variables, section.Sections("env"));
  for (const Section& variable : variables) {
    SPLITFT_ASSIGN_OR_RETURN(std::string name, variable.RequiredText("name"));
    SPLITFT_ASSIGN_OR_RETURN(std::string value, variable.Text("value"));
    plugin.environment.emplace_back(std::move(name), std::move(value));
  }
  return plugin;
}

absl::StatusOr<std::shared_ptr<CredentialSource>> ReadUser(const Section& user, const std::string& name,
                                                           const fs::path& folder, const Clock& clock) {
  // Whoever asks to be impersonated must not act as the mightier self.
  for (const char* field : {"auth-provider", "username", "as", "as-uid", "as-groups", "as-user-extra"}) {
    if (user.Has(field)) {
      return user.Unsupported(field);
    }
  }
  if (user.Has("exec")) {
    SPLITFT_ASSIGN_OR_RETURN(ExecPlugin plugin, ReadPlugin(user.At("exec"), name, folder));
    return ExecCredential(std::move(plugin), clock);
  }
  Credential credential;
  SPLITFT_ASSIGN_OR_RETURN(credential.token, user.Text("token"));
  SPLITFT_ASSIGN_OR_RETURN(credential.certificate_pem, user.Contents("client-certificate"));
  SPLITFT_ASSIGN_OR_RETURN(credential.key_pem, user.Contents("client-key"));
  SPLITFT_ASSIGN_OR_RETURN(const std::string token_file, user.Text("tokenFile"));
  if (!token_file.empty() && credential.token.empty()) {
    return TokenFile(user.Path(token_file), clock);
  }
  return credential == Credential() ? nullptr : FixedCredential(std::move(credential));
}

absl::StatusOr<Cluster> ReadCluster(const Section& section) {
  for (const char* field : {"proxy-url", "tls-server-name"}) {
    if (section.Has(field)) {
      return section.Unsupported(field);
    }
  }
  Cluster cluster;
  SPLITFT_ASSIGN_OR_RETURN(cluster.server, section.RequiredText("server"));
  SPLITFT_ASSIGN_OR_RETURN(cluster.ca_pem, section.Contents("certificate-authority"));
  SPLITFT_ASSIGN_OR_RETURN(const std::string skip, section.Text("insecure-skip-tls-verify"));
  cluster.insecure_skip_verify = skip == "true";
  return cluster;
}

absl::StatusOr<Cluster> Read(const fs::path& path, std::string context_name, const Clock& clock) {
  SPLITFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kFileLimit));
  std::error_code error;
  const fs::path folder = fs::absolute(path, error).parent_path();
  const Section file(YAML::Load(text), "", folder);
  if (context_name.empty()) {
    SPLITFT_ASSIGN_OR_RETURN(context_name, file.Text("current-context"));
  }
  if (context_name.empty()) {
    return absl::InvalidArgumentError("current-context is missing, and no context was named");
  }
  SPLITFT_ASSIGN_OR_RETURN(const Section context, Named(file, "context", context_name, folder));
  SPLITFT_ASSIGN_OR_RETURN(const std::string cluster_name, context.RequiredText("cluster"));
  SPLITFT_ASSIGN_OR_RETURN(const std::string user_name, context.Text("user"));
  SPLITFT_ASSIGN_OR_RETURN(const std::string name_space, context.Text("namespace"));
  SPLITFT_ASSIGN_OR_RETURN(const Section cluster_section, Named(file, "cluster", cluster_name, folder));
  SPLITFT_ASSIGN_OR_RETURN(Cluster cluster, ReadCluster(cluster_section));
  if (!user_name.empty()) {
    SPLITFT_ASSIGN_OR_RETURN(const Section user, Named(file, "user", user_name, folder));
    SPLITFT_ASSIGN_OR_RETURN(cluster.credentials, ReadUser(user, user_name, folder, clock));
  }
  if (!name_space.empty()) {
    cluster.name_space = name_space;
  }
  return cluster;
}

}  // namespace

absl::StatusOr<Cluster> FromKubeconfig(const fs::path& file, const std::string& context, const Clock& clock) {
  absl::StatusOr<Cluster> cluster;
  try {
    cluster = Read(file, context, clock);
  } catch (const YAML::Exception& problem) {
    cluster = absl::InvalidArgumentError(problem.what());
  }
  if (!cluster.ok()) {
    return absl::Status(cluster.status().code(),
                        absl::StrCat("kubeconfig \"", file.string(), "\": ", std::string(cluster.status().message())));
  }
  return cluster;
}

}  // namespace splitft::kube
