#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/model/adapter_layout.h"
#include "libs/model/model.h"
#include "libs/train/batches.h"
#include "libs/train/block_stack.h"

// Shapes: N tokens, D model.
namespace splitft::worker {

// Which blocks a client runs: the head [0, cut_layer) and, with the labels on the client, the tail's last
// `tail_blocks`.
struct ClientShare {
  int cut_layer = 0;
  int tail_blocks = 0;
  bool has_tail = true;  // labels on the client
  bool train_client = true;
  double weight = 1.0;  // of this client's token losses
};

// The client's half of the model: embedding and head before the wire, tail and loss behind it. It keeps what the
// backward pass of each microbatch in flight needs. One thread at a time; LibTorch may throw (see train/guard.h).
class ClientModel {
 public:
  // Loads only the tensors of the share. `directory` and `layout` outlive the model.
  static absl::StatusOr<ClientModel> Load(const model::ModelDirectory& directory, const model::AdapterLayout& layout,
                                          const ClientShare& share, const train::StackOptions& options);

  // Elements of the adapters (and their gradient) that travel: the head's range, then the tail's.
  int64_t adapter_elements() const { return head_.range().size + (tail_ ? tail_->range().size : 0); }
  // The same with another cut. InvalidArgument: the model has no such cut, or it is in the tail.
  absl::StatusOr<int64_t> AdapterElements(int cut_layer) const;

  // Loads what the head [0, cut_layer) needs beyond what is there. AdapterElements' errors, and those of loading.
  absl::Status Reserve(int cut_layer);
  // Cuts there from now on; Begin follows. Likewise.
  absl::Status Use(int cut_layer);

  // Starts a step: takes the adapters, drops what an unfinished step left.
  void Begin(const at::Tensor& adapters, int microbatches);

  // ids -> hidden state at the cut.
  at::Tensor HeadForward(int microbatch, const train::Microbatch& batch);
  // Hidden state from the aggregator -> loss and the gradient by that state.
  struct TailResult {
    double loss_sum = 0;
    int64_t loss_tokens = 0;
    at::Tensor grad_hidden_ND;
  };
  TailResult Tail(const at::Tensor& hidden_ND, const train::Microbatch& batch);
  // Gradient by the hidden state at the cut -> the head's adapters.
  void HeadBackward(int microbatch, const at::Tensor& grad_ND);
  // Sum over the microbatches so far, fp32 [adapter_elements()] on the CPU; undefined where the client's blocks are
  // frozen.
  at::Tensor Gradient() const;

  // The same without gradients, for held-out batches.
  at::Tensor HeadEvaluate(const train::Microbatch& batch) const;
  TailResult TailEvaluate(const at::Tensor& hidden_ND, const train::Microbatch& batch) const;

 private:
  ClientModel(const model::ModelDirectory& directory, const model::AdapterLayout& layout, const ClientShare& share,
              const train::StackOptions& options, train::BlockStack head)
      : directory_(&directory), layout_(&layout), share_(share), options_(options), head_(std::move(head)) {}

  const model::ModelDirectory* directory_;
  const model::AdapterLayout* layout_;
  ClientShare share_;
  train::StackOptions options_;
  std::unique_ptr<model::Embedding> embedding_;
  train::BlockStack head_;
  std::optional<train::BlockStack> tail_;
  std::unique_ptr<model::LossHead> loss_head_;
  std::vector<train::StackTape> tapes_;  // of the head, per microbatch
};

}  // namespace splitft::worker
