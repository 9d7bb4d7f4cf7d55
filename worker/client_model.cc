#include "worker/client_model.h"

#include <ATen/ops/cat.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace splitft::worker {

absl::StatusOr<ClientModel> ClientModel::Load(const model::ModelDirectory& directory,
                                              const model::AdapterLayout& layout, const ClientShare& share,
                                              const train::StackOptions& options) {
  SPLITFT_ASSIGN_OR_RETURN(train::BlockStack head,
                           train::BlockStack::Load(directory, layout, 0, share.cut_layer, options));
  ClientModel client(directory, layout, share, options, std::move(head));
  SPLITFT_ASSIGN_OR_RETURN(client.embedding_, model::LoadEmbedding(directory, options.placement));
  if (share.has_tail) {
    const int blocks = layout.block_count();
    SPLITFT_ASSIGN_OR_RETURN(client.tail_,
                             train::BlockStack::Load(directory, layout, blocks - share.tail_blocks, blocks, options));
    SPLITFT_ASSIGN_OR_RETURN(client.loss_head_, model::LoadLossHead(directory, options.placement));
  }
  return client;
}

absl::StatusOr<int64_t> ClientModel::AdapterElements(int cut_layer) const {
  const int most = layout_->block_count() - (share_.has_tail ? share_.tail_blocks : 0);
  if (cut_layer < 1 || cut_layer > most) {
    return absl::InvalidArgumentError(absl::StrCat("cut layer ", cut_layer, "; expected 1 to ", most));
  }
  return layout_->BlockRange(0, cut_layer).size + (tail_ ? tail_->range().size : 0);
}

absl::Status ClientModel::Reserve(int cut_layer) {
  SPLITFT_RETURN_IF_ERROR(AdapterElements(cut_layer).status());
  return head_.Reserve(*directory_, 0, cut_layer);
}

absl::Status ClientModel::Use(int cut_layer) {
  SPLITFT_RETURN_IF_ERROR(AdapterElements(cut_layer).status());
  return cut_layer == head_.last() ? absl::OkStatus() : head_.Use(*directory_, 0, cut_layer);
}

void ClientModel::Begin(const at::Tensor& adapters, int microbatches) {
  const int64_t head = head_.range().size;
  head_.SetAdapters(adapters.narrow(0, 0, head));
  if (tail_) {
    tail_->SetAdapters(adapters.narrow(0, head, tail_->range().size));
  }
  tapes_.clear();
  tapes_.resize(static_cast<size_t>(microbatches));
}

at::Tensor ClientModel::HeadForward(int microbatch, const train::Microbatch& batch) {
  const model::BatchLayout layout{{batch.part}};
  at::Tensor hidden_ND = embedding_->Forward(batch.ids_N.to(options_.placement.device), layout);
  train::StackTape* tape = share_.train_client ? &tapes_[static_cast<size_t>(microbatch)] : nullptr;
  return head_.Forward({{.block = 0, .hidden_ND = std::move(hidden_ND), .part = batch.part}}, tape);
}

ClientModel::TailResult ClientModel::Tail(const at::Tensor& hidden_ND, const train::Microbatch& batch) {
  train::StackTape tape;
  const at::Tensor top_ND =
      tail_->Forward({{.block = tail_->first(), .hidden_ND = hidden_ND, .part = batch.part}}, &tape);
  model::LossHead::Result loss =
      loss_head_->Loss(top_ND, batch.labels_N.to(options_.placement.device), /*need_gradient=*/true);
  at::Tensor grad_ND = std::move(loss.grad_hidden_ND);
  if (share_.weight != 1.0) {
    grad_ND.mul_(share_.weight);
  }
  return {.loss_sum = loss.loss_sum,
          .loss_tokens = loss.loss_tokens,
          .grad_hidden_ND = tail_->Backward(std::move(grad_ND), std::move(tape), /*need_input_gradient=*/true).front()};
}

void ClientModel::HeadBackward(int microbatch, const at::Tensor& grad_ND) {
  head_.Backward(grad_ND, std::move(tapes_[static_cast<size_t>(microbatch)]), /*need_input_gradient=*/false);
}

at::Tensor ClientModel::Gradient() const {
  if (!share_.train_client) {
    return {};
  }
  const at::Tensor head = head_.gradient().to(at::kCPU);
  return tail_ ? at::cat({head, tail_->gradient().to(at::kCPU)}) : head;
}

at::Tensor ClientModel::HeadEvaluate(const train::Microbatch& batch) const {
  const model::BatchLayout layout{{batch.part}};
  at::Tensor hidden_ND = embedding_->Forward(batch.ids_N.to(options_.placement.device), layout);
  return head_.Forward({{.block = 0, .hidden_ND = std::move(hidden_ND), .part = batch.part}}, nullptr);
}

ClientModel::TailResult ClientModel::TailEvaluate(const at::Tensor& hidden_ND, const train::Microbatch& batch) const {
  const at::Tensor top_ND =
      tail_->Forward({{.block = tail_->first(), .hidden_ND = hidden_ND, .part = batch.part}}, nullptr);
  const model::LossHead::Result loss =
      loss_head_->Loss(top_ND, batch.labels_N.to(options_.placement.device), /*need_gradient=*/false);
  return {.loss_sum = loss.loss_sum, .loss_tokens = loss.loss_tokens, .grad_hidden_ND = {}};
}

}  // namespace splitft::worker
