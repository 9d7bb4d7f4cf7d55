#include "libs/train/adapter_state.h"

#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/train/rank_change.h"

namespace splitft::train {
namespace {

// clip_grad_norm_ divides by the norm plus this.
constexpr double kClipEpsilon = 1e-6;

}  // namespace

AdapterState::AdapterState(std::span<const float> initial, model::FlatRange trainable, const spec::Optimizer& optimizer,
                           at::Device device)
    : optimizer_(optimizer), trainable_(trainable) {
  at::Tensor host = at::empty({static_cast<int64_t>(initial.size())}, at::kFloat);
  std::memcpy(host.mutable_data_ptr(), initial.data(), initial.size_bytes());
  parameters_ = host.to(device);
  first_moment_ = at::zeros({trainable.size}, parameters_.options());
  second_moment_ = at::zeros({trainable.size}, parameters_.options());
}

absl::StatusOr<AdapterState::Update> AdapterState::Step(at::Tensor* gradient_sum, double denominator,
                                                        double learning_rate, double max_norm) {
  if (!(denominator > 0)) {
    return absl::FailedPreconditionError(absl::StrCat("step ", steps_done_, ": no token has a loss (weight ",
                                                      denominator, "): every label of every client is masked"));
  }
  at::Tensor gradient = gradient_sum->narrow(0, trainable_.begin, trainable_.size);
  Update update;
  update.gradient_norm = at::linalg_vector_norm(gradient).item<double>() / denominator;
  if (!std::isfinite(update.gradient_norm)) {
    return absl::FailedPreconditionError(
        absl::StrCat("step ", steps_done_, ": the gradient's norm is ", update.gradient_norm,
                     "; the adapters are those of the step before. A lower learningRate or a warm-up usually helps"));
  }
  double scale = 1.0 / denominator;
  if (max_norm > 0) {
    scale *= std::min(1.0, max_norm / (update.gradient_norm + kClipEpsilon));
  }
  gradient.mul_(scale);
  ++steps_done_;
  const at::Tensor step = at::full({}, static_cast<double>(steps_done_), parameters_.options());
  const at::Tensor trained = parameters_.narrow(0, trainable_.begin, trainable_.size);
  at::_fused_adamw_(trained, gradient, first_moment_, second_moment_,
                    /*max_exp_avg_sqs=*/{}, step, learning_rate, optimizer_.beta1, optimizer_.beta2,
                    optimizer_.weight_decay, optimizer_.epsilon,
                    /*amsgrad=*/false, /*maximize=*/false);
  update.parameter_norm = at::linalg_vector_norm(trained).item<double>();
  return update;
}

bool AdapterState::IsTrained(const model::AdapterSlot& slot) const {
  return slot.offset_a >= trainable_.begin && slot.offset_a < trainable_.begin + trainable_.size;
}

AdapterState::RankChange AdapterState::ChangeRank(const model::AdapterSlot& slot, int64_t from, int64_t to,
                                                  const at::Tensor& fresh_a_RI) {
  // The slot's A and B as views into a vector that begins at element `begin` of the flat one.
  const auto a_of = [&](const at::Tensor& flat, int64_t begin) {
    return flat.narrow(0, slot.offset_a - begin, slot.rank * slot.in_features).view({slot.rank, slot.in_features});
  };
  const auto b_of = [&](const at::Tensor& flat, int64_t begin) {
    return flat.narrow(0, slot.offset_b - begin, slot.rank * slot.out_features).view({slot.out_features, slot.rank});
  };
  const int64_t moments = trainable_.begin;
  const TrainedAdapter whole{.a_RI = a_of(parameters_, 0),
                             .b_OR = b_of(parameters_, 0),
                             .first_a_RI = a_of(first_moment_, moments),
                             .first_b_OR = b_of(first_moment_, moments),
                             .second_a_RI = a_of(second_moment_, moments),
                             .second_b_OR = b_of(second_moment_, moments)};
  const TrainedAdapter used{.a_RI = whole.a_RI.narrow(0, 0, from),
                            .b_OR = whole.b_OR.narrow(1, 0, from),
                            .first_a_RI = whole.first_a_RI.narrow(0, 0, from),
                            .first_b_OR = whole.first_b_OR.narrow(1, 0, from),
                            .second_a_RI = whole.second_a_RI.narrow(0, 0, from),
                            .second_b_OR = whole.second_b_OR.narrow(1, 0, from)};
  RankChange change;
  TrainedAdapter next;
  if (to < from) {
    LoweredAdapter lowered = LowerRank(used, to, fresh_a_RI);
    change = {.energy = lowered.energy, .discarded = lowered.discarded};
    next = std::move(lowered.adapter);
  } else {
    next = RaiseRank(used, fresh_a_RI);
  }
  const auto put = [&](const at::Tensor& view, const at::Tensor& value, int64_t dimension) {
    view.zero_();
    view.narrow(dimension, 0, to).copy_(value);
  };
  put(whole.a_RI, next.a_RI, 0);
  put(whole.b_OR, next.b_OR, 1);
  put(whole.first_a_RI, next.first_a_RI, 0);
  put(whole.first_b_OR, next.first_b_OR, 1);
  put(whole.second_a_RI, next.second_a_RI, 0);
  put(whole.second_b_OR, next.second_b_OR, 1);
  return change;
}

std::vector<float> AdapterState::Snapshot() const {
  const at::Tensor host = parameters_.to(at::kCPU).contiguous();
  const float* data = host.const_data_ptr<float>();
  return {data, data + host.numel()};
}

}  // namespace splitft::train
