#include "libs/base/sha256.h"

#include <openssl/evp.h>

#include <array>
#include <string_view>

#include "absl/strings/escaping.h"
#include "libs/base/file.h"
#include "libs/base/status_macros.h"

namespace splitft {

absl::StatusOr<std::string> Sha256OfFile(const std::filesystem::path& path) {
  SPLITFT_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_Digest(file.bytes().data(), file.bytes().size(), digest.data(), &size, EVP_sha256(), nullptr) != 1) {
    return absl::InternalError("OpenSSL has no SHA-256");
  }
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest.data()), size});
}

}  // namespace splitft
