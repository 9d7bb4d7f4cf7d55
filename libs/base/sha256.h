#pragma once

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"

namespace splitft {

// The SHA-256 (FIPS 180-4) of a file's bytes as 64 hexadecimal digits. NotFound, PermissionDenied or, where it
// is empty, InvalidArgument, naming the path.
absl::StatusOr<std::string> Sha256OfFile(const std::filesystem::path& path);

}  // namespace splitft
