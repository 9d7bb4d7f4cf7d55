#include "libs/model/safetensors.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/file.h"
#include "libs/base/status_macros.h"
#include "libs/model/strict_json.h"

namespace splitft::model {
namespace {

using nlohmann::json;

constexpr uint64_t kLengthBytes = 8;
constexpr char kMetadata[] = "__metadata__";
constexpr std::string_view kGitLfsPointer = "version https://git-lfs";

struct TypeInfo {
  TensorType type;
  std::string_view name;
  int64_t size;
};
constexpr std::array<TypeInfo, 15> kTypes = {{
    {TensorType::kBool, "BOOL", 1},
    {TensorType::kUint8, "U8", 1},
    {TensorType::kInt8, "I8", 1},
    {TensorType::kFloat8E4m3, "F8_E4M3", 1},
    {TensorType::kFloat8E5m2, "F8_E5M2", 1},
    {TensorType::kInt16, "I16", 2},
    {TensorType::kUint16, "U16", 2},
    {TensorType::kFloat16, "F16", 2},
    {TensorType::kBfloat16, "BF16", 2},
    {TensorType::kInt32, "I32", 4},
    {TensorType::kUint32, "U32", 4},
    {TensorType::kFloat32, "F32", 4},
    {TensorType::kInt64, "I64", 8},
    {TensorType::kUint64, "U64", 8},
    {TensorType::kFloat64, "F64", 8},
}};

const TypeInfo& Info(TensorType type) { return kTypes[static_cast<size_t>(type)]; }

absl::Status Damaged(const std::string& file_name, const std::string& problem) {
  return absl::InvalidArgumentError(absl::StrCat("\"", file_name, "\" is not a sound safetensors file: ", problem));
}

uint64_t ReadLength(std::span<const std::byte> file) {
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    length |= static_cast<uint64_t>(file[i]) << (8 * i);
  }
  return length;
}

// Bytes of a tensor, or nothing where the number does not fit 63 bits.
std::optional<uint64_t> ByteSize(TensorType type, std::span<const int64_t> shape) {
  int64_t bytes = TensorTypeSize(type);
  for (const int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(bytes, extent, &bytes)) {
      return std::nullopt;
    }
  }
  return static_cast<uint64_t>(bytes);
}

absl::StatusOr<std::string_view> FindHeader(std::span<const std::byte> file, const std::string& file_name) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (text.substr(0, kGitLfsPointer.size()) == kGitLfsPointer) {
    return Damaged(file_name, "it is a Git LFS pointer; fetch the file itself with `git lfs pull`");
  }
  if (file.size() < kLengthBytes) {
    return Damaged(file_name, absl::StrCat("it has ", file.size(), " bytes, and the header's length alone takes 8"));
  }
  const uint64_t length = ReadLength(file);
  if (length > kMaxSafetensorsHeaderBytes) {
    return Damaged(file_name, absl::StrCat("its header would have ", length, " bytes; at most ",
                                           kMaxSafetensorsHeaderBytes, " are read"));
  }
  if (length > file.size() - kLengthBytes) {
    return Damaged(file_name, absl::StrCat("it is truncated: it has ", file.size(), " bytes, its header alone ends at ",
                                           kLengthBytes + length));
  }
  return text.substr(kLengthBytes, length);
}

// A JSON array of integers from 0 to 2^63 - 1, or nothing.
std::optional<std::vector<int64_t>> Sizes(const json& array) {
  if (!array.is_array()) {
    return std::nullopt;
  }
  std::vector<int64_t> sizes;
  for (const json& element : array) {
    if (!element.is_number_unsigned() ||
        element.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return std::nullopt;
    }
    sizes.push_back(element.get<int64_t>());
  }
  return sizes;
}

absl::StatusOr<TensorType> ParseType(const json& value) {
  for (const TypeInfo& info : kTypes) {
    if (value.is_string() && value.get_ref<const std::string&>() == info.name) {
      return info.type;
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "its dtype is ", JsonExcerpt(value), "; known are ",
      absl::StrJoin(kTypes, ", ", [](std::string* out, const TypeInfo& info) { out->append(info.name); })));
}

// One entry of the header; offsets still count from the header's end.
absl::StatusOr<TensorEntry> ParseEntry(const json& value) {
  for (const char* key : {"dtype", "shape", "data_offsets"}) {
    if (!value.is_object() || !value.contains(key)) {
      return absl::InvalidArgumentError(absl::StrCat("its entry has no \"", key, "\": ", JsonExcerpt(value)));
    }
  }
  TensorEntry entry;
  SPLITFT_ASSIGN_OR_RETURN(entry.type, ParseType(value["dtype"]));
  const std::optional<std::vector<int64_t>> shape = Sizes(value["shape"]);
  if (!shape) {
    return absl::InvalidArgumentError(absl::StrCat("its shape is ", JsonExcerpt(value["shape"])));
  }
  entry.shape = *shape;
  const std::optional<std::vector<int64_t>> offsets = Sizes(value["data_offsets"]);
  if (!offsets || offsets->size() != 2 || (*offsets)[0] > (*offsets)[1]) {
    return absl::InvalidArgumentError(absl::StrCat("its data_offsets are ", JsonExcerpt(value["data_offsets"])));
  }
  entry.begin = static_cast<uint64_t>((*offsets)[0]);
  entry.end = static_cast<uint64_t>((*offsets)[1]);
  const std::optional<uint64_t> needed = ByteSize(entry.type, entry.shape);
  if (!needed) {
    return absl::InvalidArgumentError(absl::StrCat("its shape ", ShapeText(entry.shape), " is impossibly large"));
  }
  if (*needed != entry.end - entry.begin) {
    return absl::InvalidArgumentError(absl::StrCat("its data_offsets give ", entry.end - entry.begin, " bytes, but ",
                                                   TensorTypeName(entry.type), " ", ShapeText(entry.shape), " takes ",
                                                   *needed));
  }
  return entry;
}

// Refuses overlaps and holes. Returns where the last tensor ends.
absl::StatusOr<uint64_t> CheckContiguous(const TensorTable& table, const std::string& file_name) {
  std::vector<TensorTable::const_iterator> order;
  order.reserve(table.size());
  for (auto it = table.begin(); it != table.end(); ++it) {
    order.push_back(it);
  }
  std::ranges::sort(order, {}, [](auto it) { return std::pair(it->second.begin, it->second.end); });
  uint64_t end = 0;
  for (const auto& it : order) {
    if (it->second.begin != end) {
      return Damaged(
          file_name,
          absl::StrCat("tensor ", JsonExcerpt(it->first), " begins at byte ", it->second.begin, " of the data, ",
                       it->second.begin < end ? "inside" : "behind a hole after", " the one that ends at ", end));
    }
    end = it->second.end;
  }
  return end;
}

absl::Status CheckMetadata(const json& metadata) {
  if (metadata.is_object() && std::ranges::all_of(metadata, [](const json& value) { return value.is_string(); })) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(kMetadata, " is not a map of strings: ", JsonExcerpt(metadata)));
}

}  // namespace

std::string TensorTypeName(TensorType type) { return std::string(Info(type).name); }
int64_t TensorTypeSize(TensorType type) { return Info(type).size; }

std::string ShapeText(std::span<const int64_t> shape) { return absl::StrCat("[", absl::StrJoin(shape, ", "), "]"); }

absl::StatusOr<TensorTable> ParseSafetensors(std::span<const std::byte> file, const std::string& file_name) {
  SPLITFT_ASSIGN_OR_RETURN(const std::string_view text, FindHeader(file, file_name));
  absl::StatusOr<json> header = ParseStrictJson(text, "header");
  if (!header.ok()) {
    return Damaged(file_name, std::string(header.status().message()));
  }
  if (!header->is_object()) {
    return Damaged(file_name, "its header is not a JSON object");
  }
  TensorTable table;
  for (const auto& [name, value] : header->items()) {
    if (name == kMetadata) {
      if (const absl::Status status = CheckMetadata(value); !status.ok()) {
        return Damaged(file_name, std::string(status.message()));
      }
      continue;
    }
    absl::StatusOr<TensorEntry> entry = ParseEntry(value);
    if (!entry.ok()) {
      return Damaged(file_name, absl::StrCat("tensor ", JsonExcerpt(name), ": ", entry.status().message()));
    }
    table.emplace(name, *std::move(entry));
  }
  SPLITFT_ASSIGN_OR_RETURN(const uint64_t data_bytes, CheckContiguous(table, file_name));
  const uint64_t data_begin = kLengthBytes + text.size();
  if (data_bytes != file.size() - data_begin) {
    return Damaged(file_name,
                   absl::StrCat("it has ", file.size(), " bytes, its header describes ", data_begin + data_bytes,
                                data_bytes > file.size() - data_begin ? ": it is truncated" : ""));
  }
  for (auto& [name, entry] : table) {
    entry.begin += data_begin;
    entry.end += data_begin;
  }
  return table;
}

absl::StatusOr<std::string> SerializeSafetensors(std::vector<TensorView> tensors) {
  std::ranges::sort(tensors, {}, [](const TensorView& tensor) {
    return std::tuple(-TensorTypeSize(tensor.type), std::string_view(tensor.name));
  });
  json header = {{kMetadata, {{"format", "pt"}}}};
  uint64_t end = 0;
  for (const TensorView& tensor : tensors) {
    const std::optional<uint64_t> needed = ByteSize(tensor.type, tensor.shape);
    if (needed != tensor.bytes.size()) {
      return absl::InvalidArgumentError(absl::StrCat("tensor \"", tensor.name, "\" has ", tensor.bytes.size(),
                                                     " bytes, which do not fit ", TensorTypeName(tensor.type), " ",
                                                     ShapeText(tensor.shape)));
    }
    const json entry = {
        {"dtype", TensorTypeName(tensor.type)}, {"shape", tensor.shape}, {"data_offsets", {end, end + *needed}}};
    if (!header.emplace(tensor.name, entry).second) {
      return absl::InvalidArgumentError(absl::StrCat("two tensors are named \"", tensor.name, "\""));
    }
    end += *needed;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // keeps the data aligned
  if (text.size() > kMaxSafetensorsHeaderBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the header of ", tensors.size(), " tensors has ", text.size(),
                                                   " bytes; at most ", kMaxSafetensorsHeaderBytes,
                                                   " can be read back"));
  }
  std::string file;
  file.reserve(kLengthBytes + text.size() + end);
  for (size_t i = 0; i < kLengthBytes; ++i) {
    file.push_back(static_cast<char>(text.size() >> (8 * i)));
  }
  file += text;
  for (const TensorView& tensor : tensors) {
    file.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  }
  return file;
}

absl::Status WriteSafetensors(const std::filesystem::path& path, std::vector<TensorView> tensors) {
  SPLITFT_ASSIGN_OR_RETURN(const std::string file, SerializeSafetensors(std::move(tensors)));
  return WriteFileAtomically(path, file);
}

}  // namespace splitft::model
