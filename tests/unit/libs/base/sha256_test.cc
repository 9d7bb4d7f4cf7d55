#include "libs/base/sha256.h"

#include <unistd.h>

#include <filesystem>

#include "gtest/gtest.h"
#include "libs/base/file.h"

namespace splitft {
namespace {

TEST(Sha256OfFile, IsThatOfTheStandardsExamples) {
  const std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("splitft_sha256_test_" + std::to_string(::getpid()));
  ASSERT_TRUE(WriteFileAtomically(path, "abc").ok());
  EXPECT_EQ(Sha256OfFile(path).value(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  ASSERT_TRUE(WriteFileAtomically(path, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").ok());
  EXPECT_EQ(Sha256OfFile(path).value(), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  std::filesystem::remove(path);
  EXPECT_EQ(Sha256OfFile(path).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace splitft
