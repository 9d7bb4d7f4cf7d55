#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/model/model.h"

namespace splitft::model {

// The Llama family (Touvron et al. 2023) as Hugging Face computes it: Llama 2 and 3, Mistral, Qwen2 and 2.5, Qwen3.
// They differ only in what ModelConfig's flags say. Errors: as model.h says.
absl::StatusOr<std::unique_ptr<Embedding>> LoadLlamaEmbedding(const ModelDirectory& directory,
                                                              const Placement& placement);
absl::StatusOr<std::unique_ptr<Block>> LoadLlamaBlock(const ModelDirectory& directory, int block,
                                                      const Placement& placement);
absl::StatusOr<std::unique_ptr<LossHead>> LoadLlamaLossHead(const ModelDirectory& directory,
                                                            const Placement& placement);

}  // namespace splitft::model
