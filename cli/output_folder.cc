#include "cli/output_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/text_format.h"
#include "libs/base/file.h"
#include "libs/base/status_macros.h"
#include "libs/telemetry/exit.h"

namespace splitft::cli {
namespace {

namespace fs = std::filesystem;

// Says that a folder is an output of splitft, from the first moment on.
constexpr const char* kMark = ".splitft-output";

constexpr std::array<std::string_view, 16> kOwnFiles = {kMark,
                                                        "job.yaml",
                                                        "metrics.jsonl",
                                                        "decisions.jsonl",
                                                        "report.html",
                                                        "README.md",
                                                        "adapter_config.json",
                                                        "adapter_model.safetensors",
                                                        "tokenizer.json",
                                                        "tokenizer_config.json",
                                                        "tokenizer.model",
                                                        "special_tokens_map.json",
                                                        "added_tokens.json",
                                                        "vocab.json",
                                                        "merges.txt",
                                                        "chat_template.jinja"};

bool IsOwn(const fs::directory_entry& entry) {
  std::string name = entry.path().filename().string();
  if (name.ends_with(".partial")) {
    name.resize(name.size() - std::string_view(".partial").size());
  }
  return entry.symlink_status().type() == fs::file_type::regular &&
         std::find(kOwnFiles.begin(), kOwnFiles.end(), name) != kOwnFiles.end();
}

// The files to remove; an error where one of them is somebody else's.
absl::StatusOr<std::vector<fs::path>> FormerOutput(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> files;
  const bool marked = fs::exists(folder / kMark, error);
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    if (!marked || !IsOwn(*entry)) {
      return absl::FailedPreconditionError(
          absl::StrCat("output folder \"", folder.string(), "\" holds \"", entry->path().filename().string(),
                       "\", which ", marked ? "splitft did not write" : "is not an output of splitft",
                       "; nothing was changed. Choose another folder with --out"));
    }
    files.push_back(entry->path());
  }
  if (error) {
    return ErrnoStatus(error.value(), "list the output folder", folder);
  }
  return files;
}

// An advisory lock on the folder itself; two runs would mix their files.
absl::StatusOr<UniqueFd> Lock(const fs::path& folder) {
  UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) {
    return ErrnoStatus(errno, "open the output folder", folder);
  }
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return absl::AbortedError(absl::StrCat("output folder \"", folder.string(),
                                           "\" is in use by another run of splitft; choose another with --out"));
  }
  return fd;  // a file system without locks is used without
}

absl::StatusOr<UniqueFd> Prepare(const fs::path& folder, const std::string& manifest, int64_t least_free_bytes) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    return ErrnoStatus(error.value(), "create the output folder", folder);
  }
  SPLITFT_ASSIGN_OR_RETURN(UniqueFd lock, Lock(folder));
  SPLITFT_ASSIGN_OR_RETURN(const std::vector<fs::path> former, FormerOutput(folder));
  if (::access(folder.c_str(), W_OK) != 0) {
    return ErrnoStatus(errno, "write to the output folder", folder);
  }
  for (const fs::path& file : former) {
    if (!fs::remove(file, error) && error) {
      return ErrnoStatus(error.value(), "remove", file);
    }
  }
  const fs::space_info space = fs::space(folder, error);
  if (!error && space.available < static_cast<uintmax_t>(least_free_bytes)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("output folder \"", folder.string(), "\": ", FormatBytes(static_cast<int64_t>(space.available)),
                     " free on its disk, but the job may write ", FormatBytes(least_free_bytes)));
  }
  SPLITFT_RETURN_IF_ERROR(WriteFileAtomically(folder / kMark, "Written by splitft; `splitft run` may replace it.\n"));
  SPLITFT_RETURN_IF_ERROR(WriteFileAtomically(folder / "job.yaml", manifest));
  return lock;
}

}  // namespace

absl::StatusOr<UniqueFd> PrepareOutputFolder(const fs::path& folder, const std::string& manifest,
                                             int64_t least_free_bytes) {
  absl::StatusOr<UniqueFd> lock = Prepare(folder, manifest, least_free_bytes);
  if (!lock.ok()) {
    return telemetry::WithExitCode(lock.status(), telemetry::ExitCode::kUnusableInput);
  }
  return lock;
}

}  // namespace splitft::cli
