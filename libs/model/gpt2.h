#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "libs/model/model.h"

namespace splitft::model {

// GPT-2 (Radford et al. 2019) as Hugging Face's GPT2LMHeadModel computes it. Errors: as model.h says.
absl::StatusOr<std::unique_ptr<Embedding>> LoadGpt2Embedding(const ModelDirectory& directory,
                                                             const Placement& placement);
absl::StatusOr<std::unique_ptr<Block>> LoadGpt2Block(const ModelDirectory& directory, int block,
                                                     const Placement& placement);
absl::StatusOr<std::unique_ptr<LossHead>> LoadGpt2LossHead(const ModelDirectory& directory, const Placement& placement);

}  // namespace splitft::model
