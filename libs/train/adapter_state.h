#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/model/adapter_layout.h"
#include "libs/spec/job.h"

namespace splitft::train {

// All trainable state of a job: the adapters' flat fp32 vector (libs/model/adapter_layout.h), AdamW's moments and the
// number of steps done. Only the aggregator has one.
class AdapterState {
 public:
  // Only `trainable` is ever changed: outside it lie blocks that no client trains (trainClient: false).
  AdapterState(std::span<const float> initial, model::FlatRange trainable, const spec::Optimizer& optimizer,
               at::Device device);

  struct Update {
    double gradient_norm = 0;   // of the mean gradient, before clipping
    double parameter_norm = 0;  // of all that is trained, after the step
  };
  // One AdamW step on gradient_sum / denominator (of the whole flat vector), clipped to the global norm `max_norm` (0:
  // not clipped) as torch.nn.utils.clip_grad_norm_ does. `gradient_sum` is overwritten. FailedPrecondition, with the
  // state untouched, where the gradient is not finite or `denominator` is not positive.
  absl::StatusOr<Update> Step(at::Tensor* gradient_sum, double denominator, double learning_rate, double max_norm);

  // Whether Step ever changes the adapter.
  bool IsTrained(const model::AdapterSlot& slot) const;
  // Has a trained adapter, of whose pairs the first `from` are in use, go on with the first `to` (train/rank_change.h);
  // the others are zero. `fresh_a_RI`: a fresh A of `to` rows.
  struct RankChange {
    double energy = 0;     // of B A, where pairs are taken away
    double discarded = 0;  // what of it is lost
  };
  RankChange ChangeRank(const model::AdapterSlot& slot, int64_t from, int64_t to, const at::Tensor& fresh_a_RI);

  // fp32, on the device; Step overwrites it in place.
  const at::Tensor& parameters() const { return parameters_; }
  int64_t steps_done() const { return steps_done_; }
  // A copy of the parameters on the CPU.
  std::vector<float> Snapshot() const;

 private:
  spec::Optimizer optimizer_;
  at::Tensor parameters_;
  model::FlatRange trainable_;
  at::Tensor first_moment_;  // of the trainable range, as the next
  at::Tensor second_moment_;
  int64_t steps_done_ = 0;
};

}  // namespace splitft::train
