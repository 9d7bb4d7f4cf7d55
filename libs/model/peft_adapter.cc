#include "libs/model/peft_adapter.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status_macros.h"
#include "libs/model/peft_config.h"
#include "libs/model/safetensors.h"
#include "libs/model/tensor_files.h"

namespace splitft::model {
namespace {

constexpr char kConfigFile[] = "adapter_config.json";
constexpr char kPickleFile[] = "adapter_model.bin";
constexpr size_t kMaxConfigBytes = 1 << 20;

// A or B of one slot: its name in the file, and its place in the flat vector.
struct Factor {
  std::string tensor;
  std::vector<int64_t> shape;
  int64_t offset = 0;
};

std::string FullName(const ModelConfig& config, const AdapterSlot& slot) {
  return absl::StrCat(BlockPrefix(config, slot.block), ".", slot.name);
}

std::array<Factor, 2> Factors(const ModelConfig& config, const AdapterSlot& slot) {
  const std::string prefix = absl::StrCat("base_model.model.", FullName(config, slot));
  return {{{prefix + ".lora_A.weight", {slot.rank, slot.in_features}, slot.offset_a},
           {prefix + ".lora_B.weight", {slot.out_features, slot.rank}, slot.offset_b}}};
}

size_t Count(const Factor& factor) { return static_cast<size_t>(factor.shape[0] * factor.shape[1]); }

template <typename Element>
void Convert(std::span<const std::byte> bytes, float* out) {
  for (size_t i = 0; i < bytes.size() / sizeof(Element); ++i) {
    Element element;
    std::memcpy(&element, bytes.data() + i * sizeof(Element), sizeof(Element));  // the file need not align
    out[i] = static_cast<float>(element);
  }
}

absl::Status ReadFactor(const FileTensor& tensor, const Factor& factor, const std::string& source, float* out) {
  if (tensor.entry.shape != factor.shape) {
    return absl::InvalidArgumentError(absl::StrCat(source, ": tensor \"", factor.tensor, "\" has shape ",
                                                   ShapeText(tensor.entry.shape), "; expected ",
                                                   ShapeText(factor.shape)));
  }
  const std::span<const std::byte> bytes =
      tensor.file->bytes().subspan(tensor.entry.begin, tensor.entry.end - tensor.entry.begin);
  switch (tensor.entry.type) {
    case TensorType::kFloat32:
      Convert<float>(bytes, out);
      break;
    case TensorType::kFloat16:
      Convert<c10::Half>(bytes, out);
      break;
    case TensorType::kBfloat16:
      Convert<c10::BFloat16>(bytes, out);
      break;
    default:
      return absl::InvalidArgumentError(absl::StrCat(source, ": tensor \"", factor.tensor, "\" has type ",
                                                     TensorTypeName(tensor.entry.type), "; expected F32, F16 or BF16"));
  }
  for (size_t i = 0; i < Count(factor); ++i) {
    if (!std::isfinite(out[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat(source, ": tensor \"", factor.tensor, "\" has the value ", out[i], " at element ", i));
    }
  }
  return absl::OkStatus();
}

// The first difference between the adapter's layout and the one asked for.
absl::Status CompareLayouts(const ModelConfig& config, const AdapterLayout& found, const AdapterLayout& expected,
                            const std::string& source) {
  size_t i = 0;
  for (const AdapterSlot& slot : expected.slots()) {
    const std::string name = FullName(config, slot);
    if (i == found.slots().size() || FullName(config, found.slots()[i]) != name) {
      const bool missing = i == found.slots().size() || std::pair(found.slots()[i].block, found.slots()[i].module) >
                                                            std::pair(slot.block, slot.module);
      return absl::InvalidArgumentError(
          missing ? absl::StrCat(source, " has no adapter for \"", name, "\", which the job has")
                  : absl::StrCat(source, " has an adapter for \"", FullName(config, found.slots()[i]),
                                 "\", which the job has not"));
    }
    const AdapterSlot& other = found.slots()[i++];
    if (other.rank != slot.rank) {
      return absl::InvalidArgumentError(
          absl::StrCat(source, " has rank ", other.rank, " for \"", name, "\"; the job has ", slot.rank,
                       ": lora.rank and lora.rankPattern say which rank each module has"));
    }
    if (other.scale != slot.scale) {
      return absl::InvalidArgumentError(absl::StrCat(source, " has scale ", other.scale, " (alpha ", other.alpha,
                                                     " / rank ", other.rank, ") for \"", name, "\"; the job has ",
                                                     slot.scale));
    }
  }
  if (i < found.slots().size()) {
    return absl::InvalidArgumentError(absl::StrCat(source, " has an adapter for \"", FullName(config, found.slots()[i]),
                                                   "\", which the job has not"));
  }
  return absl::OkStatus();
}

absl::StatusOr<FileTensors> OpenWeights(const std::filesystem::path& directory) {
  std::error_code ignored;
  if (!std::filesystem::exists(directory / kAdapterFile, ignored) &&
      std::filesystem::exists(directory / kPickleFile, ignored)) {
    return absl::NotFoundError(
        absl::StrCat("\"", directory.string(), "\" has its weights only as ", kPickleFile,
                     ", which this build does not read: a pickle can run any code. Load and save ",
                     "it with PEFT to get ", kAdapterFile));
  }
  return OpenTensorFile(directory, kAdapterFile);
}

}  // namespace

absl::Status WritePeftAdapter(const std::filesystem::path& directory, const ModelConfig& config, const spec::Lora& lora,
                              const AdapterLayout& layout, std::span<const float> flat, const std::string& base_model) {
  if (flat.size() != static_cast<size_t>(layout.size())) {
    return absl::InvalidArgumentError(
        absl::StrCat("the adapters have ", flat.size(), " elements; their layout has ", layout.size()));
  }
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return ErrnoStatus(error.value(), "create", directory);
  }
  std::vector<TensorView> tensors;
  for (const AdapterSlot& slot : layout.slots()) {
    for (Factor& factor : Factors(config, slot)) {
      const auto values = flat.subspan(static_cast<size_t>(factor.offset), Count(factor));
      tensors.push_back(
          {std::move(factor.tensor), TensorType::kFloat32, std::move(factor.shape), std::as_bytes(values)});
    }
  }
  SPLITFT_RETURN_IF_ERROR(WriteSafetensors(directory / kAdapterFile, std::move(tensors)));
  return WriteFileAtomically(directory / kConfigFile, SerializePeftConfig(config, lora, layout, base_model));
}

absl::StatusOr<std::vector<float>> ReadPeftAdapter(const std::filesystem::path& directory, const ModelConfig& config,
                                                   const AdapterLayout& layout) {
  const std::string source = absl::StrCat("adapter \"", directory.string(), "\"");
  SPLITFT_ASSIGN_OR_RETURN(const spec::Lora lora, ReadPeftConfig(directory));
  const absl::StatusOr<AdapterLayout> found = AdapterLayout::Create(config, lora);
  if (!found.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, " does not fit the model: ", std::string(found.status().message())));
  }
  SPLITFT_RETURN_IF_ERROR(CompareLayouts(config, *found, layout, source));
  SPLITFT_ASSIGN_OR_RETURN(FileTensors tensors, OpenWeights(directory));
  std::vector<float> flat(static_cast<size_t>(layout.size()));
  for (const AdapterSlot& slot : layout.slots()) {
    for (const Factor& factor : Factors(config, slot)) {
      const auto tensor = tensors.find(factor.tensor);
      if (tensor == tensors.end()) {
        return absl::InvalidArgumentError(
            absl::StrCat(source, " has no tensor \"", factor.tensor, "\" ", ShapeText(factor.shape)));
      }
      SPLITFT_RETURN_IF_ERROR(ReadFactor(tensor->second, factor, source, flat.data() + factor.offset));
      tensors.erase(tensor);
    }
  }
  if (!tensors.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(source, " has a tensor \"", tensors.begin()->first,
                                                   "\" that belongs to no target module of its ", kConfigFile));
  }
  return flat;
}

absl::StatusOr<spec::Lora> ReadPeftConfig(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / kConfigFile;
  SPLITFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxConfigBytes));
  return ParsePeftConfig(text, absl::StrCat("\"", path.string(), "\""));
}

}  // namespace splitft::model
