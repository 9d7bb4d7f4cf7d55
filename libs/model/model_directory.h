#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/status/statusor.h"
#include "libs/model/config.h"

namespace splitft::model {

// A Hugging Face model directory: config.json and model.safetensors, or model.safetensors.index.json and its shards.
// Opening reads config and headers only; tensors are mapped when asked for, and pages are read when touched.
class ModelDirectory {
 public:
  // Checks config, index and every header (sizes, overlaps, holes, shapes): a damaged or truncated file is found here.
  static absl::StatusOr<ModelDirectory> Open(const std::filesystem::path& path);
  ModelDirectory(ModelDirectory&&) noexcept;
  ModelDirectory& operator=(ModelDirectory&&) noexcept;
  ~ModelDirectory();

  const ModelConfig& config() const;
  const std::filesystem::path& path() const;

  bool Has(std::string_view name) const;
  // The tensor `name` as it lies in the file, without a copy (it keeps its mapping alive); it must have `shape`.
  // NotFound or InvalidArgument, with name, file, found and expected shape.
  absl::StatusOr<at::Tensor> Tensor(std::string_view name, const std::vector<int64_t>& shape) const;

 private:
  struct State;
  explicit ModelDirectory(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace splitft::model
