#include "libs/train/rank_change.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>

#include <cstring>

#include "gtest/gtest.h"
#include "libs/base/random.h"
#include "libs/train/adapter_ranks.h"

namespace splitft::train {
namespace {

constexpr int64_t kIn = 11;
constexpr int64_t kOut = 7;
constexpr int64_t kRank = 5;

at::Tensor Random(int64_t rows, int64_t columns, uint64_t seed) {
  const RandomStream draws({.seed = seed});
  at::Tensor tensor = at::empty({rows, columns}, at::kFloat);
  float* data = tensor.mutable_data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    data[i] = 2 * draws.Uniform(static_cast<uint64_t>(i)) - 1;
  }
  return tensor;
}

double Norm(const at::Tensor& tensor) { return at::linalg_vector_norm(tensor.to(at::kDouble)).item<double>(); }
double Distance(const at::Tensor& a, const at::Tensor& b) { return Norm(a.to(at::kDouble).sub(b.to(at::kDouble))); }
at::Tensor Product(const TrainedAdapter& adapter) {
  return adapter.b_OR.to(at::kDouble).matmul(adapter.a_RI.to(at::kDouble));
}

// A product of `rank` directions in kRank pairs, with the moments of a loss whose gradient by the product is
// `gradient`.
TrainedAdapter Trained(int64_t rank, const at::Tensor& gradient_OI, uint64_t seed) {
  const at::Tensor mix = Random(rank, kRank, seed + 1);
  TrainedAdapter adapter{.a_RI = Random(kRank, kIn, seed),
                         .b_OR = Random(kOut, rank, seed + 2).matmul(mix),
                         .first_a_RI = {},
                         .first_b_OR = {},
                         .second_a_RI = {},
                         .second_b_OR = {}};
  adapter.first_a_RI = adapter.b_OR.t().matmul(gradient_OI);
  adapter.first_b_OR = gradient_OI.matmul(adapter.a_RI.t());
  adapter.second_a_RI = adapter.first_a_RI.square();
  adapter.second_b_OR = adapter.first_b_OR.square();
  return adapter;
}

TEST(LowerRank, IsTheNearestProductAndSaysWhatIsLost) {
  const TrainedAdapter adapter = Trained(kRank, Random(kOut, kIn, 9), 1);
  const auto [left, singular, right] = at::linalg_svd(Product(adapter));
  for (int64_t rank = 1; rank < kRank; ++rank) {
    const LoweredAdapter lowered = LowerRank(adapter, rank, Random(rank, kIn, 5));
    EXPECT_EQ(lowered.adapter.rank(), rank);
    const double lost = singular.narrow(0, rank, kRank - rank).square().sum().item<double>();
    EXPECT_NEAR(lowered.discarded, lost, 1e-5 * lost);
    EXPECT_NEAR(lowered.energy, singular.square().sum().item<double>(), 1e-4);
    const double distance = Distance(Product(lowered.adapter), Product(adapter));
    EXPECT_NEAR(distance * distance, lost, 1e-4 * lost);
  }
}

TEST(LowerRank, LosesNothingOfAProductThatFits) {
  const TrainedAdapter adapter = Trained(3, Random(kOut, kIn, 9), 2);
  const LoweredAdapter lowered = LowerRank(adapter, 3, Random(3, kIn, 5));
  EXPECT_LT(lowered.discarded, 1e-10 * lowered.energy);
  EXPECT_LT(Distance(Product(lowered.adapter), Product(adapter)), 1e-6 * Norm(Product(adapter)));
}

TEST(LowerRank, CarriesMomentsIntoTheNewBasis) {
  const at::Tensor gradient_OI = Random(kOut, kIn, 9);
  const TrainedAdapter adapter = Trained(3, gradient_OI, 3);
  const TrainedAdapter lowered = LowerRank(adapter, 3, Random(3, kIn, 5)).adapter;
  // The gradients that the new factors would have seen of the same losses. B's is of A's rows as they were: what of
  // them the product does not reach (A has five directions, the product three) has no counterpart in the new A.
  EXPECT_LT(Distance(lowered.first_a_RI, lowered.b_OR.t().matmul(gradient_OI)), 1e-4 * Norm(lowered.first_a_RI));
  EXPECT_LT(Distance(lowered.first_b_OR, gradient_OI.matmul(lowered.a_RI.t())), 1e-4 * Norm(lowered.first_b_OR));
  EXPECT_GE(lowered.second_a_RI.min().item<float>(), 0);
  EXPECT_GE(lowered.second_b_OR.min().item<float>(), 0);
  EXPECT_GT(Norm(lowered.second_b_OR), 0);
}

TEST(LowerRank, KeepsTheSizeOfA) {
  const TrainedAdapter adapter = Trained(kRank, Random(kOut, kIn, 9), 4);
  const TrainedAdapter lowered = LowerRank(adapter, 2, Random(2, kIn, 5)).adapter;
  EXPECT_NEAR(Norm(lowered.a_RI) / std::sqrt(2.0), Norm(adapter.a_RI) / std::sqrt(5.0), 1e-4);
}

TEST(LowerRank, OfAFreshAdapterIsAFreshAdapter) {
  const at::Tensor a = Random(kRank, kIn, 1);
  const at::Tensor zero_a = at::zeros({kRank, kIn});
  const at::Tensor zero_b = at::zeros({kOut, kRank});
  const LoweredAdapter lowered = LowerRank({a, zero_b, zero_a, zero_b, zero_a, zero_b}, 2, a.narrow(0, 0, 2));
  EXPECT_EQ(lowered.discarded, 0);
  EXPECT_TRUE(lowered.adapter.a_RI.equal(a.narrow(0, 0, 2)));
  EXPECT_EQ(Norm(lowered.adapter.b_OR), 0);
  EXPECT_EQ(Norm(lowered.adapter.second_b_OR), 0);
}

TEST(RaiseRank, AddsNothingAndLearnsAtTheOthersPace) {
  const TrainedAdapter adapter = Trained(kRank, Random(kOut, kIn, 9), 1);
  const at::Tensor fresh = Random(8, kIn, 6);
  const TrainedAdapter raised = RaiseRank(adapter, fresh);
  EXPECT_EQ(raised.rank(), 8);
  EXPECT_EQ(Distance(Product(raised), Product(adapter)), 0);
  EXPECT_TRUE(raised.a_RI.narrow(0, kRank, 3).equal(fresh.narrow(0, kRank, 3)));
  EXPECT_EQ(Norm(raised.b_OR.narrow(1, kRank, 3)), 0);
  EXPECT_EQ(Norm(raised.first_b_OR.narrow(1, kRank, 3)), 0);
  EXPECT_TRUE(raised.second_b_OR.select(1, 6).equal(adapter.second_b_OR.mean(1)));
  EXPECT_TRUE(raised.second_a_RI.select(0, 7).equal(adapter.second_a_RI.mean(0)));
}

// Two blocks of one module each.
model::AdapterLayout Layout(const std::vector<int64_t>& ranks = {kRank, kRank}) {
  model::ModelConfig config;
  config.architecture = model::Architecture::kGpt2;
  config.block_count = 2;
  config.hidden_size = 12;
  config.intermediate_size = 48;
  const spec::Lora lora{.rank = kRank, .alpha = 10, .target_modules = {"attn.c_proj"}};
  return model::AdapterLayout::Create(config, lora)->WithRanks(ranks);
}

at::Tensor Added(const model::AdapterLayout& layout, std::span<const float> flat, size_t slot_index) {
  const model::AdapterSlot& slot = layout.slots()[slot_index];
  at::Tensor a = at::empty({slot.rank, slot.in_features}, at::kFloat);
  at::Tensor b = at::empty({slot.out_features, slot.rank}, at::kFloat);
  std::memcpy(a.mutable_data_ptr(), flat.data() + slot.offset_a, a.nbytes());
  std::memcpy(b.mutable_data_ptr(), flat.data() + slot.offset_b, b.nbytes());
  return b.to(at::kDouble).matmul(a.to(at::kDouble)).mul(slot.scale);
}

// Random caps, with steps in between: what is written is what was trained, and pairs out of use stay zero.
TEST(AdapterRanks, WritesWhatIsTrainedWhateverTheCaps) {
  const model::AdapterLayout layout = Layout();
  const RandomStream draws({.seed = 3});
  uint64_t drawn = 0;
  AdapterState state(layout.Initialize(1), layout.BlockRange(0, 2), {}, at::kCPU);
  AdapterRanks ranks(layout, 1);
  double lost = 0;
  for (int round = 0; round < 40; ++round) {
    const std::vector<int> caps = {static_cast<int>(draws.Below(drawn++, 8)),
                                   static_cast<int>(draws.Below(drawn++, 8))};
    lost += ranks.Change(caps, &state);
    for (int b = 0; b < 2; ++b) {
      const int cap = caps[static_cast<size_t>(b)];
      EXPECT_EQ(ranks.OfBlock(b), cap == 0 ? kRank : std::min<int64_t>(cap, kRank));
    }
    const std::vector<float> flat = state.Snapshot();
    const model::AdapterLayout written = ranks.Layout();
    const std::vector<float> trimmed = ranks.Trimmed(flat);
    ASSERT_EQ(static_cast<int64_t>(trimmed.size()), written.size());
    for (size_t slot = 0; slot < 2; ++slot) {
      EXPECT_LT(Distance(Added(layout, flat, slot), Added(written, trimmed, slot)), 1e-6);
    }
    // As a model would have it: nothing where a pair is zero.
    at::Tensor gradient = Random(1, layout.size(), 100 + static_cast<uint64_t>(round)).flatten();
    for (size_t slot = 0; slot < 2; ++slot) {
      const model::AdapterSlot& s = layout.slots()[slot];
      const int64_t used = written.slots()[slot].rank;
      gradient.narrow(0, s.offset_a, s.rank * s.in_features)
          .view({s.rank, s.in_features})
          .narrow(0, used, s.rank - used)
          .zero_();
      gradient.narrow(0, s.offset_b, s.rank * s.out_features)
          .view({s.out_features, s.rank})
          .narrow(1, used, s.rank - used)
          .zero_();
    }
    ASSERT_TRUE(state.Step(&gradient, 1, 0.01, 0).ok());
  }
  EXPECT_GT(lost, 0);
}

TEST(AdapterRanks, LeavesAloneWhatIsNotTrained) {
  const model::AdapterLayout layout = Layout();
  AdapterState state(layout.Initialize(1), layout.BlockRange(1, 2), {}, at::kCPU);
  AdapterRanks ranks(layout, 1);
  ranks.Change(std::vector<int>{2, 2}, &state);
  EXPECT_EQ(ranks.OfBlock(0), kRank);
  EXPECT_EQ(ranks.OfBlock(1), 2);
}

}  // namespace
}  // namespace splitft::train
