#include "libs/model/model.h"

#include "libs/model/gpt2.h"
#include "libs/model/llama.h"

namespace splitft::model {
namespace {

// How the parts of one architecture are read.
struct Loaders {
  decltype(&LoadEmbedding) embedding;
  decltype(&LoadBlock) block;
  decltype(&LoadLossHead) loss_head;
};

Loaders LoadersOf(Architecture architecture) {
  switch (architecture) {
    case Architecture::kGpt2:
      return {LoadGpt2Embedding, LoadGpt2Block, LoadGpt2LossHead};
    case Architecture::kLlama:
    case Architecture::kMistral:
    case Architecture::kQwen2:
    case Architecture::kQwen3:
      break;
  }
  return {LoadLlamaEmbedding, LoadLlamaBlock, LoadLlamaLossHead};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Embedding>> LoadEmbedding(const ModelDirectory& directory, const Placement& placement) {
  return LoadersOf(directory.config().architecture).embedding(directory, placement);
}

absl::StatusOr<std::unique_ptr<Block>> LoadBlock(const ModelDirectory& directory, int block,
                                                 const Placement& placement) {
  return LoadersOf(directory.config().architecture).block(directory, block, placement);
}

absl::StatusOr<std::unique_ptr<LossHead>> LoadLossHead(const ModelDirectory& directory, const Placement& placement) {
  return LoadersOf(directory.config().architecture).loss_head(directory, placement);
}

}  // namespace splitft::model
