#include "operator/desired/job_in_pods.h"

#include <filesystem>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace splitft::controller {
namespace {

using spec::SourceKind;

// A file or folder of the cluster that a pod is to see.
struct Wanted {
  std::string name;  // of the volume
  spec::Source source;
  std::string path;  // in the pod
  std::string host_type;
  bool read_only = true;
};

// The name before the first slash, and what follows it.
std::pair<std::string, std::string> SplitName(const std::string& value) {
  const size_t slash = value.find('/');
  return {value.substr(0, slash), slash == std::string::npos ? "" : value.substr(slash + 1)};
}

// The volume of `volumes` that is like `volume` but for its name, or `volume` added to them: a kubelet waits for ever
// for a pod that names one claim twice. A claim that is written to anywhere is not read-only.
std::string NameOfVolume(const Json& volume, Json* volumes) {
  constexpr char kClaim[] = "persistentVolumeClaim";
  for (Json& known : *volumes) {
    Json renamed = known;
    renamed["name"] = volume["name"];
    if (volume.contains(kClaim) && known.contains(kClaim) && !volume[kClaim].contains("readOnly")) {
      renamed[kClaim].erase("readOnly");
    }
    if (renamed == volume) {
      renamed["name"] = known["name"];
      known = renamed;
      return known["name"];
    }
  }
  volumes->push_back(volume);
  return volume["name"];
}

void Add(const Wanted& wanted, Mounts* mounts) {
  Json mount = {{"mountPath", wanted.path}};
  if (wanted.read_only) {
    mount["readOnly"] = true;
  }
  Json volume = {{"name", wanted.name}};
  const auto [name, rest] = SplitName(wanted.source.value);
  switch (wanted.source.kind) {
    case SourceKind::kPersistentVolumeClaim:
      volume["persistentVolumeClaim"] = {{"claimName", name}};
      if (wanted.read_only) {
        // Else a kubelet would make what it does not find there.
        volume["persistentVolumeClaim"]["readOnly"] = true;
      }
      if (!rest.empty()) {
        mount["subPath"] = rest;
      }
      break;
    case SourceKind::kConfigMap:
      volume["configMap"] = {{"name", name}};
      mount["subPath"] = rest;  // the key
      break;
    default:
      volume["hostPath"] = {{"path", wanted.source.value}, {"type", wanted.host_type}};
  }
  mount["name"] = NameOfVolume(volume, &mounts->volumes);
  mounts->mounts.push_back(std::move(mount));
}

const spec::Client* FindClient(const spec::FineTuneJob& job, const std::string& name) {
  for (const spec::Client& client : job.clients) {
    if (client.name == name) {
      return &client;
    }
  }
  return nullptr;
}

}  // namespace

std::string DataPath(const spec::Client& client) {
  // The file's own name says what is in it (.jsonl, .csv).
  const std::string name = std::filesystem::path(client.data.source.value).filename().string();
  return absl::StrCat("/splitft/data/", client.name, "/", name);
}

spec::FineTuneJob JobInPods(const spec::FineTuneJob& job) {
  spec::FineTuneJob inside = job;
  inside.model.source = {SourceKind::kPath, kModelPath};
  for (spec::Client& client : inside.clients) {
    client.data.source = {SourceKind::kPath, DataPath(client)};
    client.pod_template.clear();
  }
  inside.workers = {};
  inside.aggregator.pod_template.clear();
  inside.lifecycle = {};
  inside.output = {SourceKind::kPath, kOutputPath};
  if (inside.lora.initial_adapter.has_value()) {
    inside.lora.initial_adapter = kAdapterPath;
  }
  return inside;
}

Mounts MountsOf(const spec::FineTuneJob& job, const Member& member) {
  Mounts mounts;
  mounts.volumes.push_back({{"name", "job"}, {"configMap", {{"name", ConfigMapName(job.name)}}}});
  mounts.mounts.push_back({{"name", "job"}, {"mountPath", "/splitft/job"}, {"readOnly", true}});
  mounts.volumes.push_back({{"name", "tmp"}, {"emptyDir", Json::object()}});
  mounts.mounts.push_back({{"name", "tmp"}, {"mountPath", "/tmp"}});
  Add({.name = "model", .source = job.model.source, .path = kModelPath, .host_type = "Directory"}, &mounts);
  if (member.role == spec::Role::kWorker) {
    if (const spec::Client* client = FindClient(job, member.client)) {
      Add({.name = "data", .source = client->data.source, .path = DataPath(*client), .host_type = "File"}, &mounts);
    }
    return mounts;
  }
  Add({.name = "output",
       .source = job.output,
       .path = kOutputPath,
       .host_type = "DirectoryOrCreate",
       .read_only = false},
      &mounts);
  return mounts;
}

}  // namespace splitft::controller
