#include "libs/telemetry/exit.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace splitft::telemetry {
namespace {

constexpr char kExitCodePayload[] = "splitft.io/exit-code";

}  // namespace

absl::Status WithExitCode(absl::Status status, ExitCode code) {
  status.SetPayload(kExitCodePayload, absl::Cord(absl::StrCat(static_cast<int>(code))));
  return status;
}

ExitCode ExitCodeOf(const absl::Status& status) {
  int marked = 0;
  const auto payload = status.GetPayload(kExitCodePayload);
  if (payload.has_value() && absl::SimpleAtoi(std::string(*payload), &marked)) {
    return static_cast<ExitCode>(marked);
  }
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ExitCode::kDone;
    case absl::StatusCode::kUnavailable:
      return ExitCode::kPeerLost;
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kDataLoss:
      return ExitCode::kUnusableInput;
    default:
      return ExitCode::kJobFailed;
  }
}

std::string ErrorLine(std::string_view program, std::string_view message) {
  const std::string text(message);
  const std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipWhitespace());
  return absl::StrCat(std::string(program), ": error: ", absl::StrJoin(lines, "; "));
}

std::string_view ErrorMessage(std::string_view program, std::string_view line) {
  constexpr std::string_view kMark = ": error: ";
  if (!line.starts_with(program) || !line.substr(program.size()).starts_with(kMark)) {
    return {};
  }
  return line.substr(program.size() + kMark.size());
}

int Finish(std::string_view program, const absl::Status& status) {
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", ErrorLine(program, std::string(status.message())).c_str());
  }
  return static_cast<int>(ExitCodeOf(status));
}

void EndOnSigterm() {
  // Others die of the signal itself, as their parents expect.
  if (::getpid() == 1) {
    std::signal(SIGTERM, [](int signal) { ::_exit(128 + signal); });
  }
}

}  // namespace splitft::telemetry
