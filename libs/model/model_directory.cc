#include "libs/model/model_directory.h"

#include <ATen/ops/from_blob.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status_macros.h"
#include "libs/model/tensor_files.h"

namespace splitft::model {
namespace {

constexpr char kConfigFile[] = "config.json";
constexpr size_t kMaxConfigBytes = 1 << 20;
constexpr std::string_view kLmHead = "lm_head.weight";

absl::StatusOr<ModelConfig> ReadConfig(const std::filesystem::path& directory) {
  std::error_code ignored;
  if (!std::filesystem::exists(directory / kConfigFile, ignored)) {
    if (!std::filesystem::is_directory(directory, ignored)) {
      return absl::NotFoundError(absl::StrCat(
          "\"", directory.string(), "\" is no folder; a model is a folder with config.json and model.safetensors"));
    }
    const bool adapter = std::filesystem::exists(directory / "adapter_config.json", ignored);
    return absl::NotFoundError(absl::StrCat(
        "\"", directory.string(), "\" has no config.json",
        adapter ? ": it is a PEFT adapter, not a model; name the base model it belongs to" : ", so it is no model"));
  }
  SPLITFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(directory / kConfigFile, kMaxConfigBytes));
  absl::StatusOr<ModelConfig> config = ParseModelConfig(text);
  if (!config.ok()) {
    return absl::Status(config.status().code(),
                        absl::StrCat("in \"", directory.string(), "\": ", std::string(config.status().message())));
  }
  return config;
}

// The types weights are kept in. Others (quantized ones) mean something only together with tensors that this build does
// not know.
std::optional<at::ScalarType> WeightType(TensorType type) {
  switch (type) {
    case TensorType::kFloat32:
      return at::kFloat;
    case TensorType::kFloat16:
      return at::kHalf;
    case TensorType::kBfloat16:
      return at::kBFloat16;
    case TensorType::kFloat64:
      return at::kDouble;
    default:
      return std::nullopt;
  }
}

at::Tensor ViewOf(const FileTensor& tensor, at::ScalarType type) {
  const std::byte* data = tensor.file->bytes().data() + tensor.entry.begin;
  // Tensors are not written to; from_blob has no way to say so.
  void* bytes = const_cast<std::byte*>(data);
  at::Tensor view = at::from_blob(
      bytes, tensor.entry.shape, [file = tensor.file](void*) {}, at::dtype(type));
  const bool aligned =
      reinterpret_cast<uintptr_t>(data) % static_cast<uintptr_t>(TensorTypeSize(tensor.entry.type)) == 0;
  return aligned ? view : view.clone();
}

}  // namespace

struct ModelDirectory::State {
  std::filesystem::path path;
  ModelConfig config;
  FileTensors tensors;

  bool IsGpt2() const { return config.architecture == Architecture::kGpt2; }

  // A checkpoint of the bare transformer has no prefix before its names.
  const FileTensor* FindNamed(std::string_view name) const {
    const std::string_view prefix = IsGpt2() ? "transformer." : "model.";
    auto found = tensors.find(name);
    if (found == tensors.end() && name.starts_with(prefix)) {
      found = tensors.find(name.substr(prefix.size()));
    }
    return found == tensors.end() ? nullptr : &found->second;
  }

  // Where the tensor of a full model's name lies, or null. Of tied tensors a file may have either. (It may have both:
  // they may even differ, and then transformers takes each for what it is, too.)
  const FileTensor* Find(std::string_view name) const {
    const FileTensor* found = FindNamed(name);
    if (found == nullptr && config.tied_embeddings) {
      const std::string_view embedding = IsGpt2() ? "transformer.wte.weight" : "model.embed_tokens.weight";
      if (name == kLmHead) {
        found = FindNamed(embedding);
      } else if (name == embedding) {
        found = FindNamed(kLmHead);
      }
    }
    return found;
  }
};

ModelDirectory::ModelDirectory(std::unique_ptr<State> state) : state_(std::move(state)) {}
ModelDirectory::ModelDirectory(ModelDirectory&&) noexcept = default;
ModelDirectory& ModelDirectory::operator=(ModelDirectory&&) noexcept = default;
ModelDirectory::~ModelDirectory() = default;

absl::StatusOr<ModelDirectory> ModelDirectory::Open(const std::filesystem::path& path) {
  auto state = std::make_unique<State>();
  state->path = path;
  SPLITFT_ASSIGN_OR_RETURN(state->config, ReadConfig(path));
  SPLITFT_ASSIGN_OR_RETURN(state->tensors, OpenCheckpoint(path));
  return ModelDirectory(std::move(state));
}

const ModelConfig& ModelDirectory::config() const { return state_->config; }
const std::filesystem::path& ModelDirectory::path() const { return state_->path; }
bool ModelDirectory::Has(std::string_view name) const { return state_->Find(name) != nullptr; }

absl::StatusOr<at::Tensor> ModelDirectory::Tensor(std::string_view name, const std::vector<int64_t>& shape) const {
  const FileTensor* tensor = state_->Find(name);
  if (tensor == nullptr) {
    return absl::NotFoundError(absl::StrCat(
        "\"", state_->path.string(), "\" has no tensor \"", std::string(name), "\" ", ShapeText(shape),
        name == kLmHead ? ", and config.json does not say that it is tied to the embedding (tie_word_embeddings)"
                        : ""));
  }
  const std::string where =
      absl::StrCat("tensor \"", std::string(name), "\" in \"", (state_->path / tensor->file_name).string(), "\"");
  if (tensor->entry.shape != shape) {
    return absl::InvalidArgumentError(absl::StrCat(where, " has shape ", ShapeText(tensor->entry.shape),
                                                   "; config.json asks for ", ShapeText(shape)));
  }
  const std::optional<at::ScalarType> type = WeightType(tensor->entry.type);
  if (!type) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, " has type ", TensorTypeName(tensor->entry.type), "; weights are F32, F16, BF16 or F64"));
  }
  return ViewOf(*tensor, *type);
}

}  // namespace splitft::model
