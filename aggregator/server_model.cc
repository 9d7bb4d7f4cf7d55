#include "aggregator/server_model.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "libs/base/status_macros.h"

namespace splitft::aggregator {
namespace {

// Clients by ascending cut, in their own order where cuts are equal.
std::vector<size_t> OrderByCut(const std::vector<ClientRows>& clients) {
  std::vector<size_t> order(clients.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return clients[a].cut_layer < clients[b].cut_layer; });
  return order;
}

at::Tensor Concatenate(std::vector<at::Tensor> rows) { return rows.size() == 1 ? rows.front() : at::cat(rows); }

}  // namespace

ServerShare ShareOf(const spec::FineTuneJob& job, int block_count) {
  int lowest = block_count;
  for (const spec::Client& client : job.clients) {
    lowest = std::min(lowest, client.cut_layer);
  }
  const bool server_labels = job.split.labels == spec::LabelSide::kServer;
  return {.first_block = lowest,
          .last_block = server_labels ? block_count : block_count - job.split.tail_blocks,
          .has_tail = server_labels,
          .return_gradients = job.split.train_client};
}

absl::StatusOr<model::FlatRange> TrainableRange(const ServerShare& share, const model::AdapterLayout& layout) {
  const model::FlatRange range = share.return_gradients ? layout.BlockRange(0, layout.block_count())
                                                        : layout.BlockRange(share.first_block, share.last_block);
  if (range.size == 0) {
    return absl::InvalidArgumentError(
        "nothing to train: spec.split.trainClient is false and no block between the cuts and the tail has an adapter");
  }
  return range;
}

absl::StatusOr<ServerModel> ServerModel::Load(const model::ModelDirectory& directory,
                                              const model::AdapterLayout& layout, const ServerShare& share,
                                              const train::StackOptions& options) {
  SPLITFT_ASSIGN_OR_RETURN(train::BlockStack trunk,
                           train::BlockStack::Load(directory, layout, share.first_block, share.last_block, options));
  ServerModel server(directory, share, layout, options, std::move(trunk));
  if (share.has_tail) {
    SPLITFT_ASSIGN_OR_RETURN(server.loss_head_, model::LoadLossHead(directory, options.placement));
  }
  return server;
}

absl::Status ServerModel::Use(int first_block) {
  share_.first_block = first_block;
  return first_block == trunk_.first() ? absl::OkStatus() : trunk_.Use(*directory_, first_block, share_.last_block);
}

void ServerModel::Begin(const at::Tensor& adapters, int microbatches) {
  trunk_.SetAdapters(adapters.narrow(0, trunk_.range().begin, trunk_.range().size));
  passes_.clear();
  passes_.resize(static_cast<size_t>(microbatches));
  client_gradient_ = at::zeros({layout_->size()}, at::kFloat);
}

at::Tensor ServerModel::RunTrunk(const std::vector<ClientRows>& clients, Pass* pass) {
  pass->order = OrderByCut(clients);
  std::vector<train::StackEntry> entries;
  for (const size_t client : pass->order) {
    const ClientRows& rows = clients[client];
    entries.push_back({.block = rows.cut_layer, .hidden_ND = rows.hidden_ND, .part = rows.part});
    pass->tokens.push_back(rows.part.tokens());
  }
  return trunk_.Forward(std::move(entries), &pass->tape);
}

std::vector<ClientResult> ServerModel::Forward(int microbatch, const std::vector<ClientRows>& clients) {
  Pass& pass = passes_[static_cast<size_t>(microbatch)];
  const at::Tensor hidden_ND = RunTrunk(clients, &pass);
  std::vector<ClientResult> results(clients.size());
  int64_t row = 0;
  for (size_t i = 0; i < clients.size(); ++i) {
    results[pass.order[i]].rows_ND = hidden_ND.narrow(0, row, pass.tokens[i]);
    row += pass.tokens[i];
  }
  return results;
}

std::vector<ClientResult> ServerModel::Backward(int microbatch, const std::vector<at::Tensor>& gradients_ND) {
  Pass pass = std::move(passes_[static_cast<size_t>(microbatch)]);
  std::vector<at::Tensor> rows;
  for (const size_t client : pass.order) {
    rows.push_back(gradients_ND[client]);
  }
  return RunBackward(Concatenate(std::move(rows)), std::move(pass));
}

std::vector<ClientResult> ServerModel::RunBackward(at::Tensor grad_ND, Pass pass) {
  const std::vector<at::Tensor> inputs =
      trunk_.Backward(std::move(grad_ND), std::move(pass.tape), share_.return_gradients);
  std::vector<ClientResult> results(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    results[pass.order[i]].rows_ND = inputs[i];
  }
  return results;
}

std::vector<ClientResult> ServerModel::ForwardBackward(int microbatch, const std::vector<ClientRows>& clients) {
  Pass& pass = passes_[static_cast<size_t>(microbatch)];
  const at::Tensor hidden_ND = RunTrunk(clients, &pass);
  std::vector<at::Tensor> gradients;
  std::vector<model::LossHead::Result> losses(clients.size());
  int64_t row = 0;
  for (size_t i = 0; i < clients.size(); ++i) {
    const ClientRows& client = clients[pass.order[i]];
    model::LossHead::Result& loss = losses[pass.order[i]];
    loss = loss_head_->Loss(hidden_ND.narrow(0, row, pass.tokens[i]), client.labels_N, /*need_gradient=*/true);
    gradients.push_back(client.weight == 1.0 ? loss.grad_hidden_ND : loss.grad_hidden_ND.mul_(client.weight));
    row += pass.tokens[i];
  }
  std::vector<ClientResult> results = RunBackward(Concatenate(std::move(gradients)), std::move(pass));
  for (size_t i = 0; i < results.size(); ++i) {
    results[i].loss_sum = losses[i].loss_sum;
    results[i].loss_tokens = losses[i].loss_tokens;
  }
  return results;
}

ClientResult ServerModel::Evaluate(const ClientRows& client) const {
  const at::Tensor hidden_ND =
      trunk_.Forward({{.block = client.cut_layer, .hidden_ND = client.hidden_ND, .part = client.part}}, nullptr);
  if (!share_.has_tail) {
    return {.rows_ND = hidden_ND};
  }
  const model::LossHead::Result loss = loss_head_->Loss(hidden_ND, client.labels_N, /*need_gradient=*/false);
  return {.rows_ND = {}, .loss_sum = loss.loss_sum, .loss_tokens = loss.loss_tokens};
}

void ServerModel::AddClientGradient(const at::Tensor& gradient, model::FlatRange head, model::FlatRange tail) {
  client_gradient_.narrow(0, head.begin, head.size).add_(gradient.narrow(0, 0, head.size));
  client_gradient_.narrow(0, tail.begin, tail.size).add_(gradient.narrow(0, head.size, tail.size));
}

at::Tensor ServerModel::TakeGradient() {
  at::Tensor sum = std::exchange(client_gradient_, {}).to(options_.placement.device);
  sum.narrow(0, trunk_.range().begin, trunk_.range().size).add_(trunk_.gradient());
  return sum;
}

}  // namespace splitft::aggregator
