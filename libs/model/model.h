#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/model/batch_layout.h"
#include "libs/model/block.h"
#include "libs/model/config.h"
#include "libs/model/model_directory.h"

// Shapes: N tokens of a ragged batch, D model, V vocabulary.
namespace splitft::model {

// Where a part of the model computes, and in what.
struct Placement {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
};

// Token (and, for GPT-2, position) embedding.
class Embedding {
 public:
  virtual ~Embedding() = default;
  // ids_N (int64) -> hidden_ND. Ids are checked by the caller against vocabulary_size.
  virtual at::Tensor Forward(const at::Tensor& ids_N, const BatchLayout& layout) const = 0;
};

// Final norm, lm_head and the loss.
class LossHead {
 public:
  virtual ~LossHead() = default;

  struct Result {
    double loss_sum = 0;        // sum over unmasked tokens of -log p(label), unweighted
    int64_t loss_tokens = 0;    // unmasked tokens
    at::Tensor grad_hidden_ND;  // d loss_sum / d hidden; undefined where not asked for
  };
  // labels_N (int64): the token each row should predict, or kIgnoredLabel. Never holds more than a chunk of the logits.
  virtual Result Loss(const at::Tensor& hidden_ND, const at::Tensor& labels_N, bool need_gradient) const = 0;
  // For generation: logits_NV in fp32.
  virtual at::Tensor Logits(const at::Tensor& hidden_ND) const = 0;
};

inline constexpr int64_t kIgnoredLabel = -100;

// Each reads and maps only the tensors of its own part. Errors name the tensor: missing (NotFound), wrong shape or type
// (InvalidArgument).
absl::StatusOr<std::unique_ptr<Embedding>> LoadEmbedding(const ModelDirectory& directory, const Placement& placement);
absl::StatusOr<std::unique_ptr<Block>> LoadBlock(const ModelDirectory& directory, int block,
                                                 const Placement& placement);
absl::StatusOr<std::unique_ptr<LossHead>> LoadLossHead(const ModelDirectory& directory, const Placement& placement);

// "auto", "cpu" or "cuda:N" -> a device this build and machine have; auto is a GPU where there is one. InvalidArgument
// for anything else, FailedPrecondition where the device is not there.
absl::StatusOr<at::Device> ResolveDevice(std::string_view name);

}  // namespace splitft::model
