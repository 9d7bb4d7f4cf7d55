#include "libs/train/batches.h"

#include <map>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/model/model.h"

namespace splitft::train {
namespace {

using ::testing::ElementsAre;

std::vector<int64_t> Values(const at::Tensor& tensor) {
  const auto* data = tensor.const_data_ptr<int64_t>();
  return {data, data + tensor.numel()};
}

// Row i holds one sample of `length` tokens, all of them i.
text::Dataset Numbered(int rows, int length) {
  text::Dataset dataset;
  for (int i = 0; i < rows; ++i) {
    text::Sample sample;
    sample.tokens.assign(static_cast<size_t>(length), i);
    sample.loss_mask.assign(static_cast<size_t>(length), 1);
    dataset.train.push_back({.samples = {sample}});
  }
  return dataset;
}

TEST(BatchSampler, LabelsAreTheNextTokensOfTheSameSampleWhereTheMaskAsks) {
  text::Dataset dataset;
  dataset.train.push_back({.samples = {{.tokens = {10, 11, 12}, .loss_mask = {1, 0, 1}},
                                       {.tokens = {20, 21, 22}, .loss_mask = {1, 1, 1}},
                                       {.tokens = {30, 31}, .loss_mask = {1, 1}}}});
  BatchSampler sampler(dataset, 1, 0, "bank");
  const Microbatch batch = sampler.Train(0, 1).front();
  const int64_t none = model::kIgnoredLabel;
  EXPECT_THAT(Values(batch.ids_N), ElementsAre(10, 11, 12, 20, 21, 22, 30, 31));
  EXPECT_THAT(Values(batch.labels_N), ElementsAre(none, 12, none, 21, 22, none, 31, none));
  EXPECT_THAT(batch.part.runs, ElementsAre(model::SequenceRun{2, 3}, model::SequenceRun{1, 2}));
}

TEST(BatchSampler, EveryRowComesOncePerEpochAlsoAcrossBatchBorders) {
  BatchSampler sampler(Numbered(7, 2), 3, 42, "bank");
  std::map<int64_t, int> seen;
  for (uint64_t step = 0; step < 7; ++step) {  // 21 rows: three epochs
    const Microbatch batch = sampler.Train(step, 1).front();
    for (int64_t row = 0; row < 3; ++row) {
      ++seen[Values(batch.ids_N)[static_cast<size_t>(row * 2)]];
    }
  }
  EXPECT_EQ(seen.size(), 7U);
  for (const auto& [row, count] : seen) {
    EXPECT_EQ(count, 3) << row;
  }
}

TEST(BatchSampler, ABatchIsAFunctionOfSeedClientAndStep) {
  BatchSampler forward(Numbered(50, 2), 4, 7, "bank");
  BatchSampler resumed(Numbered(50, 2), 4, 7, "bank");
  BatchSampler other_seed(Numbered(50, 2), 4, 8, "bank");
  BatchSampler other_client(Numbered(50, 2), 4, 7, "hospital");
  for (uint64_t step = 0; step < 30; ++step) {
    (void)forward.Train(step, 1);
  }
  const auto expected = Values(forward.Train(30, 1).front().ids_N);
  EXPECT_EQ(Values(resumed.Train(30, 1).front().ids_N), expected);
  EXPECT_NE(Values(other_seed.Train(30, 1).front().ids_N), expected);
  EXPECT_NE(Values(other_client.Train(30, 1).front().ids_N), expected);
}

TEST(BatchSampler, MicrobatchesAreTheBatchInSlices) {
  BatchSampler whole(Numbered(20, 3), 5, 7, "bank");
  BatchSampler sliced(Numbered(20, 3), 5, 7, "bank");
  const Microbatch batch = whole.Train(2, 1).front();
  std::vector<int64_t> joined;
  int64_t first_token = 0;
  for (const Microbatch& slice : sliced.Train(2, 3)) {
    EXPECT_EQ(slice.part.first_token, first_token);
    EXPECT_EQ(slice.part.step, 2U);
    first_token += slice.part.tokens();
    for (const int64_t id : Values(slice.ids_N)) {
      joined.push_back(id);
    }
  }
  EXPECT_EQ(joined, Values(batch.ids_N));
}

TEST(BatchSampler, HeldOutBatchesCoverTheRowsInOrder) {
  text::Dataset dataset = Numbered(1, 2);
  dataset.eval = Numbered(5, 2).train;
  const BatchSampler sampler(dataset, 2, 0, "bank");
  ASSERT_EQ(sampler.eval_batches(), 3);
  EXPECT_THAT(Values(sampler.Eval(0).ids_N), ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(Values(sampler.Eval(2).ids_N), ElementsAre(4, 4));
  EXPECT_EQ(BatchSampler(Numbered(1, 2), 2, 0, "bank").eval_batches(), 0);
}

}  // namespace
}  // namespace splitft::train
