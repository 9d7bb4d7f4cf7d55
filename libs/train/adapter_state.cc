#include "libs/train/adapter_state.h"

#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"

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
  at::_fused_adamw_(parameters_.narrow(0, trainable_.begin, trainable_.size), gradient, first_moment_, second_moment_,
                    /*max_exp_avg_sqs=*/{}, step, learning_rate, optimizer_.beta1, optimizer_.beta2,
                    optimizer_.weight_decay, optimizer_.epsilon,
                    /*amsgrad=*/false, /*maximize=*/false);
  return update;
}

std::vector<float> AdapterState::Snapshot() const {
  const at::Tensor host = parameters_.to(at::kCPU).contiguous();
  const float* data = host.const_data_ptr<float>();
  return {data, data + host.numel()};
}

}  // namespace splitft::train
