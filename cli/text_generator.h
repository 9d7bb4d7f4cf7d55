#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/model/model.h"
#include "libs/model/model_directory.h"
#include "libs/train/block_stack.h"

namespace splitft::cli {

// A whole model in one process, base or base and adapter, that says what may come next. One thread at a time.
class TextGenerator {
 public:
  // `adapter`: a PEFT folder. Errors are those of ModelDirectory::Open, ReadPeftAdapter and LoadBlock.
  static absl::StatusOr<std::unique_ptr<TextGenerator>> Load(const std::filesystem::path& model,
                                                             const std::optional<std::filesystem::path>& adapter,
                                                             const model::Placement& placement);

  // The logits of the token after `tokens` (at least one); of more than max_positions only the last are looked at.
  // OutOfRange: a token that is not in the model's vocabulary.
  absl::StatusOr<std::vector<float>> NextLogits(std::span<const int32_t> tokens) const;

  const model::ModelConfig& config() const { return directory_.config(); }

 private:
  explicit TextGenerator(model::ModelDirectory directory) : directory_(std::move(directory)) {}

  model::ModelDirectory directory_;
  model::Placement placement_;
  std::unique_ptr<const model::AdapterLayout> layout_;
  std::unique_ptr<model::Embedding> embedding_;
  std::optional<train::BlockStack> blocks_;
  std::unique_ptr<model::LossHead> head_;
};

}  // namespace splitft::cli
