#include "libs/model/model_directory.h"

#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/file.h"
#include "libs/model/safetensors.h"
#include "nlohmann/json.hpp"

namespace splitft::model {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr char kGpt2[] =
    R"({"model_type":"gpt2","n_embd":2,"n_layer":1,"n_head":1,"n_positions":4,"vocab_size":3,"tie_word_embeddings":true})";

class ModelDirectoryTest : public ::testing::Test {
 protected:
  ModelDirectoryTest()
      : folder_(fs::temp_directory_path() / ("splitft_model_directory_test_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
    Write("config.json", kGpt2);
  }
  ~ModelDirectoryTest() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& contents) {
    ASSERT_TRUE(WriteFileAtomically(folder_ / name, contents).ok());
  }
  // A safetensors file of vectors, by name.
  void WriteTensors(const std::string& file, const std::map<std::string, std::vector<float>>& tensors) {
    std::vector<TensorView> views;
    for (const auto& [name, values] : tensors) {
      views.push_back(
          {name, TensorType::kFloat32, {static_cast<int64_t>(values.size())}, std::as_bytes(std::span(values))});
    }
    ASSERT_TRUE(WriteSafetensors(folder_ / file, views).ok());
  }
  void WriteIndex(const json& weight_map) {
    Write("model.safetensors.index.json", json{{"metadata", {{"total_size", 1}}}, {"weight_map", weight_map}}.dump());
  }

  absl::StatusOr<ModelDirectory> Open() const { return ModelDirectory::Open(folder_); }
  std::string OpenError(absl::StatusCode code) const {
    const absl::StatusOr<ModelDirectory> directory = Open();
    EXPECT_EQ(directory.status().code(), code) << directory.status();
    return std::string(directory.status().message());
  }
  std::string Invalid() const { return OpenError(absl::StatusCode::kInvalidArgument); }
  std::string NotFound() const { return OpenError(absl::StatusCode::kNotFound); }

  const fs::path folder_;
};

std::vector<float> Values(const absl::StatusOr<at::Tensor>& tensor) {
  EXPECT_TRUE(tensor.ok()) << tensor.status();
  if (!tensor.ok()) {
    return {};
  }
  return {tensor->const_data_ptr<float>(), tensor->const_data_ptr<float>() + tensor->numel()};
}

TEST_F(ModelDirectoryTest, OpensASingleFile) {
  WriteTensors("model.safetensors", {{"transformer.wte.weight", {1, 2}}});
  const absl::StatusOr<ModelDirectory> directory = Open();
  ASSERT_TRUE(directory.ok()) << directory.status();
  EXPECT_EQ(directory->config().architecture, Architecture::kGpt2);
  EXPECT_EQ(directory->path(), folder_);
  EXPECT_TRUE(directory->Has("transformer.wte.weight"));
  EXPECT_FALSE(directory->Has("transformer.wpe.weight"));
  EXPECT_EQ(Values(directory->Tensor("transformer.wte.weight", {2})), (std::vector<float>{1, 2}));
}

TEST_F(ModelDirectoryTest, TensorsLieInTheFileAndOutliveTheDirectory) {
  WriteTensors("model.safetensors", {{"a", {1, 2}}, {"b", {3}}});
  std::optional<at::Tensor> a;
  {
    const absl::StatusOr<ModelDirectory> directory = Open();
    ASSERT_TRUE(directory.ok());
    a = directory->Tensor("a", {2}).value();
    EXPECT_EQ(a->const_data_ptr(), directory->Tensor("a", {2}).value().const_data_ptr());  // no copy
  }
  EXPECT_EQ(Values(*a), (std::vector<float>{1, 2}));
}

TEST_F(ModelDirectoryTest, CopiesATensorThatTheFileDoesNotAlign) {
  const float value = 2.5F;
  const std::string header = R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}} )";  // an odd length
  ASSERT_EQ(header.size() % 4, 3U);
  std::string file = std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') + header + "1234";
  std::memcpy(file.data() + file.size() - 4, &value, 4);
  Write("model.safetensors", file);
  const at::Tensor a = Open().value().Tensor("a", {1}).value();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a.const_data_ptr()) % 4, 0U);
  EXPECT_EQ(Values(a), std::vector<float>{2.5F});
}

TEST_F(ModelDirectoryTest, NamesTensorFileAndShapesWhenATensorIsNotAsAskedFor) {
  const std::vector<int8_t> bytes = {1, 2};
  const std::vector<float> floats = {1, 2};
  ASSERT_TRUE(WriteSafetensors(folder_ / "model.safetensors",
                               {{"q", TensorType::kInt8, {2}, std::as_bytes(std::span(bytes))},
                                {"w", TensorType::kFloat32, {2, 1}, std::as_bytes(std::span(floats))}})
                  .ok());
  const ModelDirectory directory = Open().value();
  const absl::Status shape = directory.Tensor("w", {1, 2}).status();
  EXPECT_EQ(shape.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(shape.message()),
              AllOf(HasSubstr("\"w\""), HasSubstr((folder_ / "model.safetensors").string()),
                    HasSubstr("has shape [2, 1]"), HasSubstr("asks for [1, 2]")));
  const absl::Status missing = directory.Tensor("v", {3}).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.message()), AllOf(HasSubstr("\"v\" [3]"), HasSubstr(folder_.string())));
  const absl::Status type = directory.Tensor("q", {2}).status();
  EXPECT_EQ(type.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(type.message()), HasSubstr("has type I8"));
}

TEST_F(ModelDirectoryTest, FindsTensorsOfABareTransformer) {
  WriteTensors("model.safetensors", {{"h.0.ln_1.weight", {5}}, {"h.0.attn.bias", {0}}, {"lm_head.weight", {7}}});
  const ModelDirectory directory = Open().value();
  EXPECT_EQ(Values(directory.Tensor("transformer.h.0.ln_1.weight", {1})), std::vector<float>{5});
  EXPECT_EQ(Values(directory.Tensor("lm_head.weight", {1})), std::vector<float>{7});
  EXPECT_FALSE(directory.Has("transformer.lm_head.weight2"));
}

TEST_F(ModelDirectoryTest, FindsTiedTensorsUnderEitherName) {
  WriteTensors("model.safetensors", {{"transformer.wte.weight", {1}}});
  EXPECT_EQ(Values(Open().value().Tensor("lm_head.weight", {1})), std::vector<float>{1});
  WriteTensors("model.safetensors", {{"wte.weight", {2}}});
  EXPECT_EQ(Values(Open().value().Tensor("lm_head.weight", {1})), std::vector<float>{2});
  WriteTensors("model.safetensors", {{"lm_head.weight", {3}}});
  EXPECT_EQ(Values(Open().value().Tensor("transformer.wte.weight", {1})), std::vector<float>{3});
}

TEST_F(ModelDirectoryTest, DoesNotTieWhatTheConfigDoesNotTie) {
  json config = json::parse(kGpt2);
  config["tie_word_embeddings"] = false;
  Write("config.json", config.dump());
  WriteTensors("model.safetensors", {{"transformer.wte.weight", {1}}});
  const ModelDirectory directory = Open().value();
  EXPECT_FALSE(directory.Has("lm_head.weight"));
  EXPECT_THAT(std::string(directory.Tensor("lm_head.weight", {1}).status().message()),
              HasSubstr("tie_word_embeddings"));
}

TEST_F(ModelDirectoryTest, OpensShards) {
  WriteTensors("model-1.safetensors", {{"a", {1}}, {"b", {2}}});
  WriteTensors("model-2.safetensors", {{"c", {3}}});
  WriteIndex({{"a", "model-1.safetensors"}, {"b", "model-1.safetensors"}, {"c", "model-2.safetensors"}});
  const absl::StatusOr<ModelDirectory> directory = Open();
  ASSERT_TRUE(directory.ok()) << directory.status();
  EXPECT_EQ(Values(directory->Tensor("b", {1})), std::vector<float>{2});
  EXPECT_EQ(Values(directory->Tensor("c", {1})), std::vector<float>{3});
}

TEST_F(ModelDirectoryTest, RefusesShardsOutsideTheDirectory) {
  for (const char* shard : {"../a.safetensors", "/etc/passwd", "..", "", "sub/a.safetensors"}) {
    WriteIndex({{"a", shard}});
    EXPECT_THAT(Invalid(), AllOf(HasSubstr("weight_map.a"), HasSubstr(shard), HasSubstr("in the same folder")))
        << shard;
  }
  WriteIndex({{"a", 3}});
  EXPECT_THAT(Invalid(), HasSubstr("weight_map.a is 3"));
}

TEST_F(ModelDirectoryTest, ReadsShardsThroughLinks) {  // as in the hub's cache
  fs::create_directory(folder_ / "blobs");
  WriteTensors("blobs/0123", {{"a", {1}}});
  fs::create_symlink("blobs/0123", folder_ / "model-1.safetensors");
  WriteIndex({{"a", "model-1.safetensors"}});
  EXPECT_EQ(Values(Open().value().Tensor("a", {1})), std::vector<float>{1});
}

TEST_F(ModelDirectoryTest, NamesMissingShardsDuplicatesAndWrongIndexes) {
  WriteTensors("model-1.safetensors", {{"a", {1}}});
  WriteIndex({{"a", "model-1.safetensors"}, {"b", "model-2.safetensors"}});
  EXPECT_THAT(NotFound(), HasSubstr("model-2.safetensors"));
  WriteTensors("model-2.safetensors", {{"a", {1}}, {"b", {2}}});
  EXPECT_THAT(Invalid(),
              AllOf(HasSubstr("\"a\" is both in \"model-1.safetensors\""), HasSubstr("model-2.safetensors")));
  WriteTensors("model-2.safetensors", {{"c", {1}}});
  EXPECT_THAT(Invalid(), AllOf(HasSubstr("\"b\" is in \"model-2.safetensors\""), HasSubstr("in no shard")));
  WriteTensors("model-2.safetensors", {{"b", {1}}});
  WriteIndex({{"a", "model-2.safetensors"}, {"b", "model-1.safetensors"}});
  EXPECT_THAT(Invalid(),
              AllOf(HasSubstr("\"a\" is in \"model-2.safetensors\""), HasSubstr("it is in \"model-1.safetensors\"")));
  WriteIndex(json::object());
  EXPECT_THAT(Invalid(), HasSubstr("weight_map is empty"));
  Write("model.safetensors.index.json", "{}");
  EXPECT_THAT(Invalid(), HasSubstr("weight_map is not there"));
  Write("model.safetensors.index.json", "{");
  EXPECT_THAT(Invalid(), AllOf(HasSubstr("model.safetensors.index.json"), HasSubstr("not JSON")));
}

TEST_F(ModelDirectoryTest, FindsADamagedFileWhenItOpens) {
  WriteTensors("model.safetensors", {{"a", {1, 2, 3}}});
  fs::resize_file(folder_ / "model.safetensors", fs::file_size(folder_ / "model.safetensors") - 1);
  EXPECT_THAT(Invalid(), AllOf(HasSubstr((folder_ / "model.safetensors").string()), HasSubstr("truncated")));
}

TEST_F(ModelDirectoryTest, SaysWhatIsMissing) {
  EXPECT_THAT(NotFound(), AllOf(HasSubstr(folder_.string()), HasSubstr("no weights")));
  Write("pytorch_model.bin", "");
  EXPECT_THAT(NotFound(), AllOf(HasSubstr("only as pytorch_model.bin"), HasSubstr("save_pretrained")));
  fs::remove(folder_ / "config.json");
  EXPECT_THAT(NotFound(), HasSubstr("has no config.json"));
  Write("adapter_config.json", "{}");
  EXPECT_THAT(NotFound(), HasSubstr("it is a PEFT adapter, not a model"));
  EXPECT_EQ(ModelDirectory::Open(folder_ / "nowhere").status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(ModelDirectory::Open(folder_ / "pytorch_model.bin").status().message()),
              HasSubstr("is no folder"));
}

TEST_F(ModelDirectoryTest, SaysWhichFoldersConfigItCannotUse) {
  Write("config.json", R"({"model_type":"mamba"})");
  EXPECT_THAT(OpenError(absl::StatusCode::kUnimplemented), AllOf(HasSubstr(folder_.string()), HasSubstr("\"mamba\"")));
}

}  // namespace
}  // namespace splitft::model
