#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace splitft {

// Owns a file descriptor; closes it once.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept;
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset();

 private:
  int fd_ = -1;
};

// An error about `path` with the reason errno gives: NotFound, PermissionDenied, ResourceExhausted (disk full) or
// Internal.
absl::Status ErrnoStatus(int error, std::string_view action, const std::filesystem::path& path);

// The whole file. Files over `limit_bytes` are refused with OutOfRange before they are read.
absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path, size_t limit_bytes);

// Writes beside `path` and renames: a reader sees the old file or the new one, never a part. Syncs before the rename.
absl::Status WriteFileAtomically(const std::filesystem::path& path, std::string_view contents);

// A read-only private mapping of a whole file. Moves; unmaps at the end of its life.
// A file truncated by somebody else while mapped raises SIGBUS on access: map only files that nobody rewrites in place.
class MappedFile {
 public:
  static absl::StatusOr<MappedFile> Open(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  MappedFile(const std::byte* data, size_t size) : data_(data), size_(size) {}
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace splitft
