#include "cli/text_generator.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/model/peft_adapter.h"

// Shapes: N tokens, D model, V vocabulary.
namespace splitft::cli {
namespace {

struct Adapters {
  std::unique_ptr<const model::AdapterLayout> layout;
  at::Tensor flat;
};

// Without an adapter the base computes with zeros, which add nothing.
absl::StatusOr<Adapters> ReadAdapters(const std::optional<std::filesystem::path>& folder,
                                      const model::ModelConfig& config) {
  spec::Lora lora{.rank = 1, .alpha = 1};
  if (folder.has_value()) {
    SPLITFT_ASSIGN_OR_RETURN(lora, model::ReadPeftConfig(*folder));
  }
  SPLITFT_ASSIGN_OR_RETURN(model::AdapterLayout layout, model::AdapterLayout::Create(config, lora));
  Adapters adapters{.layout = std::make_unique<const model::AdapterLayout>(std::move(layout))};
  adapters.flat = at::zeros({adapters.layout->size()}, at::kFloat);
  if (folder.has_value()) {
    SPLITFT_ASSIGN_OR_RETURN(const std::vector<float> trained,
                             model::ReadPeftAdapter(*folder, config, *adapters.layout));
    std::copy(trained.begin(), trained.end(), adapters.flat.data_ptr<float>());
  }
  return adapters;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TextGenerator>> TextGenerator::Load(const std::filesystem::path& model,
                                                                   const std::optional<std::filesystem::path>& adapter,
                                                                   const model::Placement& placement) {
  SPLITFT_ASSIGN_OR_RETURN(model::ModelDirectory directory, model::ModelDirectory::Open(model));
  std::unique_ptr<TextGenerator> generator(new TextGenerator(std::move(directory)));
  const model::ModelDirectory& base = generator->directory_;
  SPLITFT_ASSIGN_OR_RETURN(Adapters adapters, ReadAdapters(adapter, base.config()));
  generator->placement_ = placement;
  generator->layout_ = std::move(adapters.layout);
  SPLITFT_ASSIGN_OR_RETURN(generator->embedding_, model::LoadEmbedding(base, placement));
  SPLITFT_ASSIGN_OR_RETURN(
      generator->blocks_,
      train::BlockStack::Load(base, *generator->layout_, 0, base.config().block_count, {.placement = placement}));
  generator->blocks_->SetAdapters(adapters.flat.to(placement.device));
  SPLITFT_ASSIGN_OR_RETURN(generator->head_, model::LoadLossHead(base, placement));
  return generator;
}

absl::StatusOr<std::vector<float>> TextGenerator::NextLogits(std::span<const int32_t> tokens) const {
  tokens = tokens.last(std::min(tokens.size(), static_cast<size_t>(config().max_positions)));
  std::vector<int64_t> ids(tokens.begin(), tokens.end());
  for (const int64_t id : ids) {
    if (id < 0 || id >= config().vocabulary_size) {
      return absl::OutOfRangeError(absl::StrCat("token ", id, " is not one of the model's ", config().vocabulary_size,
                                                "; is the tokenizer this model's own?"));
    }
  }
  const auto count = static_cast<int64_t>(ids.size());
  const model::BatchPart part{.runs = {{.count = 1, .length = count}}};
  const at::Tensor ids_N = at::from_blob(ids.data(), {count}, at::kLong).to(placement_.device);
  std::vector<train::StackEntry> entries;
  entries.push_back({.block = 0, .hidden_ND = embedding_->Forward(ids_N, {.parts = {part}}), .part = part});
  const at::Tensor hidden_ND = blocks_->Forward(std::move(entries), nullptr);
  const at::Tensor logits_V =
      head_->Logits(hidden_ND.narrow(0, count - 1, 1)).to(at::kCPU, at::kFloat).reshape({-1}).contiguous();
  if (!at::isfinite(logits_V).all().item<bool>()) {
    return absl::DataLossError(
        "the model's logits are not finite: weights or adapter hold NaN or infinity, or are none of this model's");
  }
  return std::vector<float>(logits_V.data_ptr<float>(), logits_V.data_ptr<float>() + logits_V.numel());
}

}  // namespace splitft::cli
