#include "libs/model/model.h"

#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "libs/base/file.h"
#include "libs/model/safetensors.h"
#include "tests/support/tensors.h"

namespace splitft::model {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kConfig[] =
    R"({"model_type":"gpt2","n_embd":8,"n_layer":1,"n_head":2,"n_positions":6,"vocab_size":5,"tie_word_embeddings":true})";

// A GPT-2 of one block in a temporary folder.
class ModelTest : public testing::Test {
 protected:
  ModelTest() : folder_(fs::temp_directory_path() / ("splitft_model_test_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
    EXPECT_TRUE(WriteFileAtomically(folder_ / "config.json", kConfig).ok());
    const std::string block = "transformer.h.0.";
    shapes_ = {{"transformer.wte.weight", {5, 8}},
               {"transformer.wpe.weight", {6, 8}},
               {block + "ln_1.weight", {8}},
               {block + "ln_1.bias", {8}},
               {block + "attn.c_attn.weight", {8, 24}},
               {block + "attn.c_attn.bias", {24}},
               {block + "attn.c_proj.weight", {8, 8}},
               {block + "attn.c_proj.bias", {8}},
               {block + "ln_2.weight", {8}},
               {block + "ln_2.bias", {8}},
               {block + "mlp.c_fc.weight", {8, 32}},
               {block + "mlp.c_fc.bias", {32}},
               {block + "mlp.c_proj.weight", {32, 8}},
               {block + "mlp.c_proj.bias", {8}},
               {"transformer.ln_f.weight", {8}},
               {"transformer.ln_f.bias", {8}}};
  }
  ~ModelTest() override { fs::remove_all(folder_); }

  ModelDirectory Open() const {
    std::map<std::string, at::Tensor> tensors;
    std::vector<TensorView> views;
    for (const auto& [name, shape] : shapes_) {
      const at::Tensor tensor = tensors[name] = RandomTensor(name, shape).to(at::kFloat);
      const std::span values(tensor.const_data_ptr<float>(), static_cast<size_t>(tensor.numel()));
      views.push_back({name, TensorType::kFloat32, shape, std::as_bytes(values)});
    }
    EXPECT_TRUE(WriteSafetensors(folder_ / "model.safetensors", views).ok());
    absl::StatusOr<ModelDirectory> directory = ModelDirectory::Open(folder_);
    EXPECT_TRUE(directory.ok()) << directory.status();
    return *std::move(directory);
  }

  const fs::path folder_;
  std::map<std::string, std::vector<int64_t>> shapes_;
};

TEST_F(ModelTest, MissingTensorIsNamed) {
  shapes_.erase("transformer.h.0.mlp.c_fc.bias");
  const ModelDirectory directory = Open();
  const absl::Status status = LoadBlock(directory, 0, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("transformer.h.0.mlp.c_fc.bias"));
  EXPECT_TRUE(LoadEmbedding(directory, {}).ok()) << "only a part's own tensors are read";
  EXPECT_TRUE(LoadLossHead(directory, {}).ok());
}

TEST_F(ModelTest, TensorOfTheWrongShapeIsNamed) {
  shapes_["transformer.ln_f.bias"] = {7};
  const absl::Status status = LoadLossHead(Open(), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("transformer.ln_f.bias"));
}

TEST_F(ModelTest, EmbeddingAddsTokenAndPosition) {
  const ModelDirectory directory = Open();
  const BatchLayout layout = {{{{{2, 2}}}}};
  const at::Tensor ids = RandomTensor("ids", {4}).add_(1).mul_(2.5).to(at::kLong);
  const at::Tensor tokens = RandomTensor("transformer.wte.weight", {5, 8}).index_select(0, ids);
  const at::Tensor positions = RandomTensor("transformer.wpe.weight", {6, 8}).narrow(0, 0, 2).repeat({2, 1});
  for (const auto& [type, tolerance] : {std::pair(at::kFloat, 1e-7), std::pair(at::kBFloat16, 1e-2)}) {
    const auto embedding = LoadEmbedding(directory, {.dtype = type});
    ASSERT_TRUE(embedding.ok()) << embedding.status();
    const at::Tensor hidden = (*embedding)->Forward(ids, layout);
    EXPECT_EQ(hidden.scalar_type(), type);
    EXPECT_LT(RelativeError(hidden, tokens.add(positions)), tolerance);
  }
}

// What a block computes is in tests/golden; here, what Backward leaves out when nobody asks.
TEST_F(ModelTest, BackwardWithoutInputGradientGivesTheSameAdapterGradients) {
  const ModelDirectory directory = Open();
  const auto block = LoadBlock(directory, 0, {});
  ASSERT_TRUE(block.ok()) << block.status();
  const BatchLayout layout = {{{{{2, 3}}}}};
  for (const char* target : {"attn.c_attn", "mlp.c_fc"}) {
    spec::Lora lora;
    lora.target_modules = {target};
    const absl::StatusOr<AdapterLayout> adapters_layout = AdapterLayout::Create(directory.config(), lora);
    ASSERT_TRUE(adapters_layout.ok()) << adapters_layout.status();
    const BlockAdapters adapters(*adapters_layout, 0, RandomTensor("flat", {adapters_layout->size()}).to(at::kFloat),
                                 at::TensorOptions(at::kFloat));
    const auto backward = [&](bool need_input_gradient, at::Tensor* flat_grad) {
      std::unique_ptr<BlockTape> tape;
      const BlockContext context = {layout, adapters};
      (*block)->Forward(RandomTensor("hidden", {6, 8}).to(at::kFloat), context, &tape);
      return (*block)->Backward(RandomTensor("grad", {6, 8}).to(at::kFloat), context, std::move(tape), flat_grad,
                                need_input_gradient);
    };
    at::Tensor with = at::zeros({adapters_layout->size()}, at::kFloat);
    at::Tensor without = at::zeros({adapters_layout->size()}, at::kFloat);
    EXPECT_EQ(backward(true, &with).sizes(), (std::vector<int64_t>{6, 8}));
    EXPECT_FALSE(backward(false, &without).defined());
    EXPECT_GT(with.abs().sum().item<double>(), 0);
    EXPECT_TRUE(with.equal(without)) << target;
  }
}

}  // namespace
}  // namespace splitft::model
