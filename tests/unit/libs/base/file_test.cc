#include "libs/base/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace splitft {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class FileTest : public ::testing::Test {
 protected:
  FileTest() : folder_(fs::temp_directory_path() / ("splitft_file_test_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~FileTest() override { fs::remove_all(folder_); }
  const fs::path folder_;
};

TEST_F(FileTest, WhatIsWrittenIsReadAndMapped) {
  const fs::path path = folder_ / "a";
  ASSERT_TRUE(WriteFileAtomically(path, std::string("one\0two", 7)).ok());
  EXPECT_EQ(ReadFile(path, 100).value(), std::string("one\0two", 7));
  absl::StatusOr<MappedFile> mapped = MappedFile::Open(path);
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  EXPECT_EQ(mapped->bytes().size(), 7U);
  EXPECT_EQ(static_cast<char>(mapped->bytes()[4]), 't');
}

TEST_F(FileTest, WritingReplacesAndLeavesNothingBeside) {
  const fs::path path = folder_ / "a";
  ASSERT_TRUE(WriteFileAtomically(path, "long contents").ok());
  ASSERT_TRUE(WriteFileAtomically(path, "short").ok());
  EXPECT_EQ(ReadFile(path, 100).value(), "short");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
}

TEST_F(FileTest, AFullDiskIsResourceExhaustedAndKeepsTheOldFile) {
  // /dev/full fails every write with ENOSPC; the temporary name is made to point at it.
  const fs::path path = folder_ / "a";
  ASSERT_TRUE(WriteFileAtomically(path, "old").ok());
  fs::create_symlink("/dev/full", folder_ / "a.partial");
  const absl::Status status = WriteFileAtomically(path, "new");
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("No space left on device"));
  EXPECT_EQ(ReadFile(path, 100).value(), "old");
}

TEST_F(FileTest, ErrorsNameThePath) {
  const fs::path missing = folder_ / "missing";
  EXPECT_EQ(ReadFile(missing, 100).status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(ReadFile(missing, 100).status().message()), HasSubstr(missing.string()));
  EXPECT_EQ(MappedFile::Open(missing).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadFile(folder_, 100).status().code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(WriteFileAtomically(folder_ / "empty", "").ok());
  EXPECT_EQ(MappedFile::Open(folder_ / "empty").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(WriteFileAtomically(missing / "a", "x").code(), absl::StatusCode::kNotFound);
}

TEST_F(FileTest, AFileOverTheLimitIsRefused) {
  ASSERT_TRUE(WriteFileAtomically(folder_ / "a", "12345").ok());
  EXPECT_TRUE(ReadFile(folder_ / "a", 5).ok());
  EXPECT_EQ(ReadFile(folder_ / "a", 4).status().code(), absl::StatusCode::kOutOfRange);
}

TEST(UniqueFd, ClosesOnceAndMoves) {
  UniqueFd fd(::open("/dev/null", O_RDONLY));
  const int number = fd.get();
  UniqueFd moved = std::move(fd);
  EXPECT_EQ(moved.get(), number);
  moved.Reset();
  EXPECT_FALSE(moved.valid());
  EXPECT_EQ(::fcntl(number, F_GETFD), -1);
}

}  // namespace
}  // namespace splitft
