#include "libs/train/batches.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <span>

#include "libs/base/random.h"
#include "libs/model/model.h"

namespace splitft::train {
namespace {

int64_t RowTokens(const text::Row& row) {
  int64_t tokens = 0;
  for (const text::Sample& sample : row.samples) {
    tokens += static_cast<int64_t>(sample.tokens.size());
  }
  return tokens;
}

void AppendRun(int64_t length, std::vector<model::SequenceRun>* runs) {
  if (!runs->empty() && runs->back().length == length) {
    ++runs->back().count;
  } else {
    runs->push_back({.count = 1, .length = length});
  }
}

// The label of position i is token i + 1 of the same sample, where the mask asks for it.
Microbatch Collate(std::span<const text::Row* const> rows, uint64_t client, uint64_t step, int64_t first_token) {
  Microbatch batch;
  batch.part = {.runs = {}, .client = client, .step = step, .first_token = first_token};
  int64_t tokens = 0;
  for (const text::Row* row : rows) {
    tokens += RowTokens(*row);
  }
  batch.ids_N = at::empty({tokens}, at::kLong);
  batch.labels_N = at::empty({tokens}, at::kLong);
  auto* ids = batch.ids_N.mutable_data_ptr<int64_t>();
  auto* labels = batch.labels_N.mutable_data_ptr<int64_t>();
  for (const text::Row* row : rows) {
    for (const text::Sample& sample : row->samples) {
      const size_t length = sample.tokens.size();
      AppendRun(static_cast<int64_t>(length), &batch.part.runs);
      for (size_t i = 0; i < length; ++i) {
        const bool has_label = i + 1 < length && sample.loss_mask[i + 1] != 0;
        *ids++ = sample.tokens[i];
        *labels++ = has_label ? sample.tokens[i + 1] : model::kIgnoredLabel;
      }
    }
  }
  return batch;
}

}  // namespace

BatchSampler::BatchSampler(text::Dataset dataset, int batch_size, uint64_t seed, const std::string& client)
    : dataset_(std::move(dataset)), batch_size_(batch_size), seed_(seed), client_(HashName(client)) {
  int64_t longest = 0;
  for (const auto* rows : {&dataset_.train, &dataset_.eval}) {
    for (const text::Row& row : *rows) {
      longest = std::max(longest, RowTokens(row));
    }
  }
  max_tokens_ = longest * batch_size_;
}

std::vector<Microbatch> BatchSampler::Train(uint64_t step, int microbatches) {
  std::vector<const text::Row*> rows;
  for (int i = 0; i < batch_size_; ++i) {
    rows.push_back(&TrainRow(step * static_cast<uint64_t>(batch_size_) + static_cast<uint64_t>(i)));
  }
  std::vector<Microbatch> batches;
  int64_t first_token = 0;
  size_t begin = 0;
  for (int m = 0; m < microbatches; ++m) {
    const size_t left = rows.size() - begin;
    const auto slices_left = static_cast<size_t>(microbatches - m);
    const size_t size = (left + slices_left - 1) / slices_left;
    batches.push_back(Collate(std::span(rows).subspan(begin, size), client_, step, first_token));
    first_token += batches.back().part.tokens();
    begin += size;
  }
  return batches;
}

Microbatch BatchSampler::Eval(int64_t index) const {
  std::vector<const text::Row*> rows;
  const auto begin = static_cast<size_t>(index * batch_size_);
  for (size_t i = begin; i < std::min(begin + static_cast<size_t>(batch_size_), dataset_.eval.size()); ++i) {
    rows.push_back(&dataset_.eval[i]);
  }
  return Collate(rows, client_, /*step=*/0, /*first_token=*/0);
}

int64_t BatchSampler::eval_batches() const {
  return (static_cast<int64_t>(dataset_.eval.size()) + batch_size_ - 1) / batch_size_;
}

const text::Row& BatchSampler::TrainRow(uint64_t position) {
  const uint64_t size = dataset_.train.size();
  const uint64_t epoch = position / size;
  if (order_.empty() || epoch != epoch_) {
    const RandomStream stream(
        {.seed = seed_, .purpose = RandomPurpose::kShuffle, .client = client_, .step = epoch, .block = 0});
    order_ = stream.Permutation(static_cast<int64_t>(size));
    epoch_ = epoch;
  }
  return dataset_.train[static_cast<size_t>(order_[position % size])];
}

}  // namespace splitft::train
