#include "libs/telemetry/exit.h"

#include <gtest/gtest.h>

namespace splitft::telemetry {
namespace {

TEST(ExitCode, FollowsTheStatusCode) {
  EXPECT_EQ(ExitCodeOf(absl::OkStatus()), ExitCode::kDone);
  EXPECT_EQ(ExitCodeOf(absl::NotFoundError("no tensor")), ExitCode::kUnusableInput);
  EXPECT_EQ(ExitCodeOf(absl::InvalidArgumentError("bad header")), ExitCode::kUnusableInput);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("stream ended")), ExitCode::kPeerLost);
  EXPECT_EQ(ExitCodeOf(absl::InternalError("loss is not finite")), ExitCode::kJobFailed);
  EXPECT_EQ(ExitCodeOf(absl::DeadlineExceededError("no answer")), ExitCode::kJobFailed);
}

TEST(ExitCode, MarkWinsOverTheStatusCode) {
  EXPECT_EQ(ExitCodeOf(WithExitCode(absl::InvalidArgumentError("spec.lora"), ExitCode::kUsage)), ExitCode::kUsage);
  EXPECT_EQ(ExitCodeOf(WithExitCode(absl::UnavailableError("port in use"), ExitCode::kJobFailed)),
            ExitCode::kJobFailed);
}

TEST(ExitCode, MarkingSuccessLeavesSuccess) {
  EXPECT_EQ(ExitCodeOf(WithExitCode(absl::OkStatus(), ExitCode::kUsage)), ExitCode::kDone);
}

TEST(ErrorLine, IsOneLineWhateverTheMessage) {
  EXPECT_EQ(ErrorLine("splitft-worker", "two problems\nspec.a: 1\n\nspec.b: 2\n"),
            "splitft-worker: error: two problems; spec.a: 1; spec.b: 2");
}

TEST(ErrorLine, IsReadBackByItsProgramOnly) {
  const std::string line = ErrorLine("splitft-worker", "record 12: error: not JSON");
  EXPECT_EQ(ErrorMessage("splitft-worker", line), "record 12: error: not JSON");
  EXPECT_EQ(ErrorMessage("splitft-aggregator", line), "");
  EXPECT_EQ(ErrorMessage("splitft-worker", "terminate called"), "");
}

}  // namespace
}  // namespace splitft::telemetry
