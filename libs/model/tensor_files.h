#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/base/file.h"
#include "libs/model/safetensors.h"

namespace splitft::model {

// A tensor and the mapped file it lies in.
struct FileTensor {
  TensorEntry entry;
  std::shared_ptr<const MappedFile> file;  // shared: a tensor handed out outlives the directory it came from
  std::string file_name;                   // below the directory
};

using FileTensors = std::map<std::string, FileTensor, std::less<>>;

// Every tensor of a checkpoint: of model.safetensors, or, where that is not there, of the shards that
// model.safetensors.index.json names. Reads headers only. NotFound where there is neither; InvalidArgument for a
// damaged file or index, a shard outside the directory, a tensor in two shards, or one that is not in the shard that
// the index says.
absl::StatusOr<FileTensors> OpenCheckpoint(const std::filesystem::path& directory);

// Every tensor of one file of `directory`.
absl::StatusOr<FileTensors> OpenTensorFile(const std::filesystem::path& directory, const std::string& file_name);

}  // namespace splitft::model
