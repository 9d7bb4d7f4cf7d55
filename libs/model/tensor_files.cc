#include "libs/model/tensor_files.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/model/strict_json.h"

namespace splitft::model {
namespace {

using nlohmann::json;

constexpr char kSingleFile[] = "model.safetensors";
constexpr char kIndexFile[] = "model.safetensors.index.json";
constexpr size_t kMaxIndexBytes = 64 << 20;

bool Exists(const std::filesystem::path& path) {
  std::error_code ignored;  // an unreadable folder is reported when its file is opened
  return std::filesystem::exists(path, ignored);
}

absl::Status NoWeights(const std::filesystem::path& directory) {
  for (const char* pickle : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    if (Exists(directory / pickle)) {
      return absl::NotFoundError(absl::StrCat("\"", directory.string(), "\" has its weights only as ", pickle,
                                              ", which this build does not read: a pickle can run any code. Convert "
                                              "it: python -c \"from transformers import ",
                                              "AutoModelForCausalLM as M; M.from_pretrained('", directory.string(),
                                              "').save_pretrained('converted')\""));
    }
  }
  return absl::NotFoundError(
      absl::StrCat("\"", directory.string(), "\" has no weights: neither ", kSingleFile, " nor ", kIndexFile));
}

// Shards are plain names. (A name may be a link: the hub's cache is made of them.)
bool IsPlainName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

absl::StatusOr<std::map<std::string, std::string>> ReadIndex(const std::filesystem::path& path) {
  SPLITFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxIndexBytes));
  const std::string source = absl::StrCat("\"", path.string(), "\"");
  SPLITFT_ASSIGN_OR_RETURN(const json index, ParseStrictJson(text, source));
  if (!index.is_object() || !index.contains("weight_map") || !index["weight_map"].is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(source, ": weight_map is not there, or not an object"));
  }
  std::map<std::string, std::string> shard_of;
  for (const auto& [tensor, shard] : index["weight_map"].items()) {
    if (!shard.is_string() || !IsPlainName(shard.get<std::string>())) {
      return absl::InvalidArgumentError(absl::StrCat(source, ": weight_map.", tensor, " is ", JsonExcerpt(shard),
                                                     "; expected the name of a file in the same folder"));
    }
    shard_of.emplace(tensor, shard.get<std::string>());
  }
  if (shard_of.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(source, ": weight_map is empty"));
  }
  return shard_of;
}

absl::StatusOr<FileTensors> OpenShards(const std::filesystem::path& directory) {
  SPLITFT_ASSIGN_OR_RETURN(const auto shard_of, ReadIndex(directory / kIndexFile));
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : shard_of) {
    shards.insert(shard);
  }
  FileTensors all;
  for (const std::string& shard : shards) {
    SPLITFT_ASSIGN_OR_RETURN(FileTensors tensors, OpenTensorFile(directory, shard));
    all.merge(tensors);
    if (!tensors.empty()) {  // what merge left behind was there already
      const std::string& name = tensors.begin()->first;
      return absl::InvalidArgumentError(absl::StrCat("tensor \"", name, "\" is both in \"",
                                                     all.find(name)->second.file_name, "\" and in \"", shard,
                                                     "\" of \"", directory.string(), "\""));
    }
  }
  for (const auto& [tensor, shard] : shard_of) {
    const auto found = all.find(tensor);
    if (found == all.end() || found->second.file_name != shard) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", (directory / kIndexFile).string(), "\" says that tensor \"", tensor, "\" is in \"", shard,
          "\", but it is ", found == all.end() ? "in no shard" : absl::StrCat("in \"", found->second.file_name, "\"")));
    }
  }
  return all;
}

}  // namespace

absl::StatusOr<FileTensors> OpenTensorFile(const std::filesystem::path& directory, const std::string& file_name) {
  const std::filesystem::path path = directory / file_name;
  SPLITFT_ASSIGN_OR_RETURN(MappedFile mapped, MappedFile::Open(path));
  const auto file = std::make_shared<const MappedFile>(std::move(mapped));
  SPLITFT_ASSIGN_OR_RETURN(TensorTable table, ParseSafetensors(file->bytes(), path.string()));
  FileTensors tensors;
  for (auto& [name, entry] : table) {
    tensors.emplace(name, FileTensor{std::move(entry), file, file_name});
  }
  return tensors;
}

absl::StatusOr<FileTensors> OpenCheckpoint(const std::filesystem::path& directory) {
  if (Exists(directory / kSingleFile)) {  // the one that transformers takes where both are there
    return OpenTensorFile(directory, kSingleFile);
  }
  if (Exists(directory / kIndexFile)) {
    return OpenShards(directory);
  }
  return NoWeights(directory);
}

}  // namespace splitft::model
