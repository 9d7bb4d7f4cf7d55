#include <ATen/ops/cat.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "libs/model/adapter_layout.h"
#include "libs/model/model.h"
#include "libs/model/model_directory.h"
#include "libs/model/peft_adapter.h"
#include "tests/support/tensors.h"

// What forward_reference.py wrote: see there for the folders.
namespace splitft::model {
namespace {

template <typename T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) {
    ADD_FAILURE() << result.status();
    std::abort();
  }
  return *std::move(result);
}

constexpr int64_t kTokens = 197;
// As LENGTHS, some of them one run of equal sequences; cut over two parts, as if of two clients.
const BatchLayout kLayout = {{{{{2, 13}, {1, 150}}}, {{{1, 7}, {2, 7}}}}};

// A whole model with its adapters, as one process would hold it.
struct Loaded {
  const AdapterLayout& layout;
  std::unique_ptr<Embedding> embedding;
  std::vector<std::unique_ptr<Block>> blocks;
  std::vector<BlockAdapters> adapters;
  std::unique_ptr<LossHead> head;
};

// Some rows of the case's batch.
struct Batch {
  BatchLayout layout;
  at::Tensor ids;
  at::Tensor labels;
};

// What splitft computes for a batch.
struct Evaluation {
  at::Tensor logits;
  double loss = 0;
  int64_t loss_tokens = 0;
  at::Tensor flat_grad;
};

// Blocks below `cut`, embedding and head run in `client`, the rest in `server`; what crosses the cut is copied.
Evaluation Evaluate(const Loaded& client, const Loaded& server, size_t cut, const Batch& batch) {
  const size_t count = client.blocks.size();
  const auto owner = [&](size_t b) -> const Loaded& { return b < cut ? client : server; };
  at::Tensor hidden = client.embedding->Forward(batch.ids, batch.layout);
  std::vector<std::unique_ptr<BlockTape>> tapes(count);
  for (size_t b = 0; b < count; ++b) {
    hidden = b == cut ? hidden.clone() : hidden;
    hidden = owner(b).blocks[b]->Forward(hidden, {batch.layout, owner(b).adapters[b]}, &tapes[b]);
  }
  Evaluation result;
  result.logits = client.head->Logits(hidden);
  const LossHead::Result loss = client.head->Loss(hidden, batch.labels, true);
  result.loss = loss.loss_sum;
  result.loss_tokens = loss.loss_tokens;
  result.flat_grad = at::zeros({client.layout.size()}, at::kFloat);
  at::Tensor grad = loss.grad_hidden_ND;
  for (size_t b = count; b-- > 0;) {
    const FlatRange range = client.layout.BlockRange(static_cast<int>(b), static_cast<int>(b) + 1);
    at::Tensor block_grad = result.flat_grad.narrow(0, range.begin, range.size);
    grad = b + 1 == cut ? grad.clone() : grad;
    grad = owner(b).blocks[b]->Backward(grad, {batch.layout, owner(b).adapters[b]}, std::move(tapes[b]), &block_grad,
                                        b > 0);
  }
  EXPECT_FALSE(grad.defined());
  return result;
}

class Case {
 public:
  explicit Case(const std::string& name)
      : folder_(std::filesystem::path(SPLITFT_GOLDEN_MODEL) / name),
        expected_(Must(ModelDirectory::Open(folder_ / "expected"))),
        layout_(Must(AdapterLayout::Create(expected_.config(), Must(ReadPeftConfig(folder_ / "adapter"))))) {}

  const AdapterLayout& layout() const { return layout_; }
  const ModelConfig& config() const { return expected_.config(); }
  at::Tensor Flat(const std::string& folder) const {
    std::vector<float> flat = Must(ReadPeftAdapter(folder_ / folder, config(), layout_));
    return at::from_blob(flat.data(), {layout_.size()}, at::kFloat).clone();
  }
  at::Tensor Expected(const std::string& name, const std::vector<int64_t>& shape) const {
    return Must(expected_.Tensor(name, shape));
  }
  at::Tensor Logits(const std::string& kind) const {
    return Expected("logits_" + kind, {kTokens, config().vocabulary_size});
  }
  double Loss(const std::string& kind) const { return Expected("loss_" + kind, {1}).item<double>(); }

  Batch WholeBatch() const {
    return {kLayout, Expected("ids", {kTokens}).to(at::kLong), Expected("labels", {kTokens}).to(at::kLong)};
  }
  // The rows of one part of kLayout.
  Batch PartOfBatch(size_t index) const {
    const Batch whole = WholeBatch();
    const int64_t first = index == 0 ? 0 : kLayout.parts[0].tokens();
    const BatchPart& part = kLayout.parts[index];
    return {{{part}}, whole.ids.narrow(0, first, part.tokens()), whole.labels.narrow(0, first, part.tokens())};
  }

  Loaded Load(const std::string& model, at::ScalarType dtype) const {
    const ModelDirectory directory = Must(ModelDirectory::Open(folder_ / model));
    const Placement placement = {at::kCPU, dtype};
    Loaded loaded = {
        layout_, Must(LoadEmbedding(directory, placement)), {}, {}, Must(LoadLossHead(directory, placement))};
    const at::Tensor flat = Flat("adapter");
    for (int b = 0; b < config().block_count; ++b) {
      const FlatRange range = layout_.BlockRange(b, b + 1);
      loaded.blocks.push_back(Must(LoadBlock(directory, b, placement)));
      loaded.adapters.emplace_back(layout_, b, flat.narrow(0, range.begin, range.size), at::TensorOptions(dtype));
    }
    return loaded;
  }
  Evaluation EvaluateWhole(const std::string& model, at::ScalarType dtype) const {
    const Loaded loaded = Load(model, dtype);
    return Evaluate(loaded, loaded, 0, WholeBatch());
  }

 private:
  std::filesystem::path folder_;
  ModelDirectory expected_;
  AdapterLayout layout_;
};

// One adapter matrix of a flat vector.
struct Matrix {
  std::string name;
  int64_t begin;
  int64_t size;
};
std::vector<Matrix> MatricesOf(const AdapterLayout& layout) {
  std::vector<Matrix> matrices;
  for (const AdapterSlot& slot : layout.slots()) {
    const std::string name = "block " + std::to_string(slot.block) + " " + slot.name;
    matrices.push_back({name + " A", slot.offset_a, slot.rank * slot.in_features});
    matrices.push_back({name + " B", slot.offset_b, slot.rank * slot.out_features});
  }
  return matrices;
}

class GoldenForward : public testing::TestWithParam<const char*> {};

TEST_P(GoldenForward, LogitsLossAndEveryGradientInFloat32) {
  const Case golden(GetParam());
  const Evaluation actual = golden.EvaluateWhole("model", at::kFloat);
  constexpr double kTolerance = 1e-5;
  const double logits_error = RelativeError(actual.logits, golden.Logits("fp32"));
  EXPECT_LT(logits_error, kTolerance);
  EXPECT_NEAR(actual.loss, golden.Loss("fp32"), kTolerance * golden.Loss("fp32"));
  EXPECT_EQ(actual.loss_tokens, golden.Expected("labels", {kTokens}).ge(0).sum().item<int64_t>());
  const at::Tensor expected = golden.Flat("grads_fp32");
  double largest = 0;
  for (const Matrix& matrix : MatricesOf(golden.layout())) {
    const double error = RelativeError(actual.flat_grad.narrow(0, matrix.begin, matrix.size),
                                       expected.narrow(0, matrix.begin, matrix.size));
    EXPECT_LT(error, kTolerance) << matrix.name;
    largest = std::max(largest, error);
  }
  std::cout << GetParam() << " fp32: logits " << logits_error << ", largest of " << 2 * golden.layout().slots().size()
            << " gradients " << largest << "\n";
}

// bf16 has no exact answer: ours must be as near to fp32 arithmetic on the same numbers as Transformers' own bf16 is.
TEST_P(GoldenForward, Bfloat16IsAsNearToTheTruthAsTransformers) {
  const Case golden(GetParam());
  const Evaluation actual = golden.EvaluateWhole("model_bf16", at::kBFloat16);
  constexpr double kFactor = 1.5;
  constexpr double kCap = 0.05;
  const double ours = RelativeError(actual.logits, golden.Logits("truth"));
  const double theirs = RelativeError(golden.Logits("bf16"), golden.Logits("truth"));
  EXPECT_LT(ours, kFactor * theirs);
  EXPECT_LT(ours, kCap);
  EXPECT_NEAR(actual.loss, golden.Loss("truth"), 0.01 * golden.Loss("truth"));
  const at::Tensor truth = golden.Flat("grads_truth");
  const at::Tensor reference = golden.Flat("grads_bf16");
  double squares = 0;
  double reference_squares = 0;
  double largest = 0;
  for (const Matrix& matrix : MatricesOf(golden.layout())) {
    const auto part = [&](const at::Tensor& flat) { return flat.narrow(0, matrix.begin, matrix.size); };
    const double error = RelativeError(part(actual.flat_grad), part(truth));
    const double reference_error = RelativeError(part(reference), part(truth));
    // Two draws of rounding errors in one small matrix may differ by more than two draws in all of them.
    EXPECT_LT(error, 2 * reference_error) << matrix.name;
    EXPECT_LT(error, kCap) << matrix.name;
    squares += error * error;
    reference_squares += reference_error * reference_error;
    largest = std::max(largest, error);
  }
  const double ratio = std::sqrt(squares / reference_squares);
  EXPECT_LT(ratio, kFactor);
  std::cout << GetParam() << " bf16: logits " << ours << " (Transformers " << theirs << "), largest gradient error "
            << largest << ", root mean square over Transformers' " << ratio << "\n";
}

TEST_P(GoldenForward, CutAnywhereIsUncutBitForBit) {
  const Case golden(GetParam());
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const Loaded client = golden.Load("model", dtype);
    const Loaded server = golden.Load("model", dtype);
    const Evaluation whole = Evaluate(client, client, 0, golden.WholeBatch());
    for (size_t cut = 1; cut <= client.blocks.size(); ++cut) {
      const Evaluation split = Evaluate(client, server, cut, golden.WholeBatch());
      EXPECT_EQ(split.loss, whole.loss) << dtype << " cut " << cut;
      EXPECT_TRUE(split.logits.equal(whole.logits)) << dtype << " cut " << cut;
      EXPECT_TRUE(split.flat_grad.equal(whole.flat_grad)) << dtype << " cut " << cut;
    }
  }
}

// Staggered entry joins clients' rows in one product: they must not see each other.
TEST_P(GoldenForward, ClientsTogetherAreClientsApart) {
  const Case golden(GetParam());
  const Loaded model = golden.Load("model", at::kFloat);
  const Evaluation together = Evaluate(model, model, 0, golden.WholeBatch());
  const Evaluation first = Evaluate(model, model, 0, golden.PartOfBatch(0));
  const Evaluation second = Evaluate(model, model, 0, golden.PartOfBatch(1));
  EXPECT_LT(RelativeError(at::cat({first.logits, second.logits}), together.logits), 1e-6);
  EXPECT_NEAR(first.loss + second.loss, together.loss, 1e-6 * together.loss);
  EXPECT_EQ(first.loss_tokens + second.loss_tokens, together.loss_tokens);
  EXPECT_LT(RelativeError(first.flat_grad.add(second.flat_grad), together.flat_grad), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Families, GoldenForward,
                         testing::Values("gpt2", "gpt2_c_attn", "llama2", "llama3", "mistral", "qwen2", "qwen3",
                                         "qwen3_qv"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace splitft::model
