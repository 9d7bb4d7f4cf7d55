#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "libs/model/batch_layout.h"
#include "libs/text/dataset.h"

namespace splitft::train {

// One microbatch of one client, ready for the embedding and the loss. N tokens.
struct Microbatch {
  model::BatchPart part;
  at::Tensor ids_N;     // int64
  at::Tensor labels_N;  // int64: the token each row predicts, or model::kIgnoredLabel
};

// A client's batches as a function of (seed, client, step): rows are visited in a fresh permutation every epoch, and a
// batch that reaches the end of one epoch goes on with the next, so every row is seen equally often.
class BatchSampler {
 public:
  // `dataset.train` is not empty. `client` names the random stream.
  BatchSampler(text::Dataset dataset, int batch_size, uint64_t seed, const std::string& client);

  // The rows of step `step`, in `microbatches` slices of equal size (the first ones larger where it does not divide).
  // microbatches <= batch_size.
  std::vector<Microbatch> Train(uint64_t step, int microbatches);
  // Held-out batch `index` in [0, eval_batches()), in file order; the last may be smaller.
  Microbatch Eval(int64_t index) const;

  int batch_size() const { return batch_size_; }
  int64_t train_rows() const { return static_cast<int64_t>(dataset_.train.size()); }
  int64_t eval_batches() const;
  // The most tokens one microbatch or held-out batch can have.
  int64_t max_tokens() const { return max_tokens_; }

 private:
  const text::Row& TrainRow(uint64_t position);

  text::Dataset dataset_;
  int batch_size_;
  uint64_t seed_;
  uint64_t client_;
  int64_t max_tokens_ = 0;
  uint64_t epoch_ = 0;  // whose permutation `order_` is
  std::vector<int64_t> order_;
};

}  // namespace splitft::train
