#include "libs/base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace splitft {
namespace {

absl::StatusOr<UniqueFd> OpenForRead(const std::filesystem::path& path, size_t* size) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoStatus(errno, "open", path);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) {
    return ErrnoStatus(errno, "stat", path);
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", path.string(), "\" is not a regular file"));
  }
  *size = static_cast<size_t>(info.st_size);
  return fd;
}

absl::Status WriteAll(int fd, std::string_view contents, const std::filesystem::path& path) {
  while (!contents.empty()) {
    const ssize_t written = ::write(fd, contents.data(), contents.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      return ErrnoStatus(errno, "write", path);
    }
    contents.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

}  // namespace

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
  if (this != &other) {
    Reset();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void UniqueFd::Reset() {
  if (fd_ >= 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

absl::Status ErrnoStatus(int error, std::string_view action, const std::filesystem::path& path) {
  const std::string message =
      absl::StrCat("cannot ", std::string(action), " \"", path.string(), "\": ", std::strerror(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::ResourceExhaustedError(message);
    default:
      return absl::InternalError(message);
  }
}

absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path, size_t limit_bytes) {
  size_t size = 0;
  SPLITFT_ASSIGN_OR_RETURN(const UniqueFd fd, OpenForRead(path, &size));
  if (size > limit_bytes) {
    return absl::OutOfRangeError(
        absl::StrCat("\"", path.string(), "\" has ", size, " bytes; at most ", limit_bytes, " are read"));
  }
  std::string contents(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(fd.get(), contents.data() + done, size - done);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return ErrnoStatus(errno, "read", path);
    }
    if (got == 0) {
      break;
    }
    done += static_cast<size_t>(got);
  }
  contents.resize(done);
  return contents;
}

absl::Status WriteFileAtomically(const std::filesystem::path& path, std::string_view contents) {
  const std::filesystem::path temporary = path.string() + ".partial";
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!fd.valid()) {
    return ErrnoStatus(errno, "create", temporary);
  }
  absl::Status status = WriteAll(fd.get(), contents, temporary);
  if (status.ok() && ::fsync(fd.get()) != 0) {
    status = ErrnoStatus(errno, "sync", temporary);
  }
  fd.Reset();
  if (status.ok() && std::rename(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoStatus(errno, "rename to", path);
  }
  if (!status.ok()) {
    ::unlink(temporary.c_str());
  }
  return status;
}

absl::StatusOr<MappedFile> MappedFile::Open(const std::filesystem::path& path) {
  size_t size = 0;
  SPLITFT_ASSIGN_OR_RETURN(const UniqueFd fd, OpenForRead(path, &size));
  if (size == 0) {
    return absl::InvalidArgumentError(absl::StrCat("\"", path.string(), "\" is empty"));
  }
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (data == MAP_FAILED) {
    return ErrnoStatus(errno, "map", path);
  }
  return MappedFile(static_cast<const std::byte*>(data), size);
}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) {
    ::munmap(const_cast<std::byte*>(data_), size_);
  }
}

}  // namespace splitft
