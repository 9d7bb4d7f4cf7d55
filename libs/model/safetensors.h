#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// The safetensors file format (https://github.com/huggingface/safetensors#format): an 8-byte little-endian length, a
// JSON header of that length, and the tensors' bytes one after another. Bytes in, a table out: no LibTorch in here.
namespace splitft::model {

enum class TensorType {
  kBool,
  kUint8,
  kInt8,
  kFloat8E4m3,
  kFloat8E5m2,
  kInt16,
  kUint16,
  kFloat16,
  kBfloat16,
  kInt32,
  kUint32,
  kFloat32,
  kInt64,
  kUint64,
  kFloat64,
};

// The type's name in the format: "BF16".
std::string TensorTypeName(TensorType type);
// Bytes of one element.
int64_t TensorTypeSize(TensorType type);
// "[768, 2304]", for messages.
std::string ShapeText(std::span<const int64_t> shape);

// One tensor of a file: row-major, at bytes [begin, end) of the whole file.
struct TensorEntry {
  TensorType type = TensorType::kFloat32;
  std::vector<int64_t> shape;
  uint64_t begin = 0;
  uint64_t end = 0;
};

using TensorTable = std::map<std::string, TensorEntry, std::less<>>;

inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 16 << 20;

// The tensors of `file`, of which only the header is read. Every byte behind the header belongs to exactly one tensor,
// and each tensor has the bytes its type and shape need. InvalidArgument, naming `file_name` and what is wrong, for
// anything else: truncated or overlong files (with the size found and expected), headers over 16 MiB, unknown types,
// overlaps, holes. Pure; any thread.
absl::StatusOr<TensorTable> ParseSafetensors(std::span<const std::byte> file, const std::string& file_name);

// A tensor to write: `bytes` row-major in `type`, not owned.
struct TensorView {
  std::string name;
  TensorType type = TensorType::kFloat32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

// The file that holds `tensors`, with metadata {"format": "pt"}: larger types first, then by name, so that every tensor
// is aligned for its type and equal tensors give equal files. InvalidArgument: a name twice, or bytes that do not fit
// the shape.
absl::StatusOr<std::string> SerializeSafetensors(std::vector<TensorView> tensors);

// Serializes and writes atomically.
absl::Status WriteSafetensors(const std::filesystem::path& path, std::vector<TensorView> tensors);

}  // namespace splitft::model
