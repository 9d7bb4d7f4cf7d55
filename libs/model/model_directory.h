#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/model/config.h"

namespace splitft::model {

// A Hugging Face model directory: config.json and model.safetensors, or model.safetensors.index.json and its shards.
// Opening reads config and headers only; tensors are mapped when asked for, and pages are read when touched.
class ModelDirectory {
 public:
  // Checks config, index and every header (sizes, overlaps, holes, shapes): a damaged or truncated file is found here.
  // NotFound: no such folder, config or weights. InvalidArgument, Unimplemented: as ParseModelConfig and tensor_files.h
  // say.
  static absl::StatusOr<ModelDirectory> Open(const std::filesystem::path& path);
  ModelDirectory(ModelDirectory&&) noexcept;
  ModelDirectory& operator=(ModelDirectory&&) noexcept;
  ~ModelDirectory();

  const ModelConfig& config() const;
  const std::filesystem::path& path() const;

  // Names are those of the full model ("transformer.wte.weight", "model.norm.weight", "lm_head.weight"). They also find
  // the tensors of a checkpoint without the leading "transformer." or "model.", and a tied lm_head that is not in the
  // file. What else is in the file (buffers such as attn.bias and rotary_emb.inv_freq) is never asked for, so it is
  // ignored.
  bool Has(std::string_view name) const;
  // The tensor `name` as it lies in the file, without a copy (it keeps its mapping alive, and must not be written to);
  // it must have `shape`. Where the file did not align it for its type it is a copy. NotFound, or InvalidArgument for a
  // wrong shape or a type that is not F32, F16, BF16 or F64; with name, file, found and expected shape. Thread-safe.
  absl::StatusOr<at::Tensor> Tensor(std::string_view name, const std::vector<int64_t>& shape) const;

 private:
  struct State;
  explicit ModelDirectory(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace splitft::model
