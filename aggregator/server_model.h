#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/model/adapter_layout.h"
#include "libs/model/model.h"
#include "libs/spec/job.h"
#include "libs/train/block_stack.h"

// Shapes: N tokens, D model.
namespace splitft::aggregator {

struct ServerShare {
  int first_block = 0;           // the lowest cut of any client
  int last_block = 0;            // one past the trunk: the tail's first block
  bool has_tail = false;         // labels on the server
  bool return_gradients = true;  // the clients' blocks train
};

// The share that a job's manifest gives the aggregator of a model with `block_count` blocks.
ServerShare ShareOf(const spec::FineTuneJob& job, int block_count);

// The adapters that some client trains; where the clients' blocks are frozen, those of the trunk only. InvalidArgument
// where nothing is left to train.
absl::StatusOr<model::FlatRange> TrainableRange(const ServerShare& share, const model::AdapterLayout& layout);

// One client's rows of a microbatch as they arrived.
struct ClientRows {
  int cut_layer = 0;
  double weight = 1.0;
  at::Tensor hidden_ND;
  at::Tensor labels_N;  // int64, with labels on the server; else undefined
  model::BatchPart part;
};

// What goes back to one client.
struct ClientResult {
  at::Tensor rows_ND;  // hidden state or gradient; undefined where nothing returns
  double loss_sum = 0;
  int64_t loss_tokens = 0;
};

// The aggregator's half of the model: the trunk, with labels on the server also the loss, and the sum of the adapters'
// gradients of a step. Clients' rows enter the trunk at their cuts (train/block_stack.h). One thread; LibTorch may
// throw.
class ServerModel {
 public:
  // Loads only the tensors of the share. `directory` and `layout` outlive the model.
  static absl::StatusOr<ServerModel> Load(const model::ModelDirectory& directory, const model::AdapterLayout& layout,
                                          const ServerShare& share, const train::StackOptions& options);

  // Loads what a trunk from `first_block` on needs beyond what is there; what is in use stays. Loading's errors.
  absl::Status Reserve(int first_block) { return trunk_.Reserve(*directory_, first_block, share_.last_block); }
  // Has the trunk begin there: the lowest cut of any client. Begin follows. Likewise.
  absl::Status Use(int first_block);

  // Starts a step with the adapters (whole flat vector, fp32), or starts it over: drops what is under way.
  void Begin(const at::Tensor& adapters, int microbatches);

  // The trunk over all clients' rows of one microbatch; results in the clients' order.
  std::vector<ClientResult> Forward(int microbatch, const std::vector<ClientRows>& clients);
  // gradients_ND: by Forward's results, in the same order. Returns gradients by the rows, undefined where none go back.
  std::vector<ClientResult> Backward(int microbatch, const std::vector<at::Tensor>& gradients_ND);
  // Forward, loss and backward at once, with labels on the server.
  std::vector<ClientResult> ForwardBackward(int microbatch, const std::vector<ClientRows>& clients);
  // Forward (and, with labels on the server, the loss) of one client's held-out batch.
  ClientResult Evaluate(const ClientRows& client) const;

  // Adds a client's adapter gradients: fp32 on the CPU, the head's range, then the tail's.
  void AddClientGradient(const at::Tensor& gradient, model::FlatRange head, model::FlatRange tail);
  // The step's gradient over all blocks and clients; what is added is all that was.
  at::Tensor TakeGradient();

 private:
  ServerModel(const model::ModelDirectory& directory, const ServerShare& share, const model::AdapterLayout& layout,
              const train::StackOptions& options, train::BlockStack trunk)
      : directory_(&directory), share_(share), layout_(&layout), options_(options), trunk_(std::move(trunk)) {}

  // A forward pass under way: its tape, and how the trunk's order (by cut) maps to the clients'.
  struct Pass {
    train::StackTape tape;
    std::vector<size_t> order;
    std::vector<int64_t> tokens;  // in trunk order
  };
  at::Tensor RunTrunk(const std::vector<ClientRows>& clients, Pass* pass);
  std::vector<ClientResult> RunBackward(at::Tensor grad_ND, Pass pass);

  const model::ModelDirectory* directory_;
  ServerShare share_;
  const model::AdapterLayout* layout_;
  train::StackOptions options_;
  train::BlockStack trunk_;
  std::unique_ptr<model::LossHead> loss_head_;
  std::vector<Pass> passes_;  // per microbatch
  at::Tensor client_gradient_;
};

}  // namespace splitft::aggregator
