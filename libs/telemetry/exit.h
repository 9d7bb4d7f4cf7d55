#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace splitft::telemetry {

// How every program of splitft ends (docs/cli.md). A program that a signal interrupted ends with 128 + the signal.
enum class ExitCode : int {
  kDone = 0,
  kJobFailed = 1,      // the job failed, and this process has the cause
  kUsage = 2,          // the command line or the manifest
  kUnusableInput = 3,  // model, data, adapter or output folder
  kPeerLost = 4,       // a consequence of what happened elsewhere
};

// `status` marked to end the program with `code`, whatever its status code. OK stays OK.
absl::Status WithExitCode(absl::Status status, ExitCode code);

// The mark of WithExitCode; without one, Unavailable is kPeerLost; what is missing, forbidden, malformed or not
// supported (NotFound, PermissionDenied, InvalidArgument, OutOfRange, FailedPrecondition, Unimplemented, DataLoss) is
// kUnusableInput; the rest is kJobFailed.
ExitCode ExitCodeOf(const absl::Status& status);

// "PROGRAM: error: MESSAGE": the form of a failing program's last line on stderr. Line breaks become "; ".
std::string ErrorLine(std::string_view program, std::string_view message);

// The MESSAGE of an ErrorLine that `program` wrote; empty where `line` is none.
std::string_view ErrorMessage(std::string_view program, std::string_view line);

// What main returns: for an error, writes its ErrorLine to stderr first.
int Finish(std::string_view program, const absl::Status& status);

// For programs that have nothing to save: SIGTERM ends this process at once, with 128 + 15, even where it is the first
// of its container, whom the kernel spares signals that it has no handler for.
void EndOnSigterm();

}  // namespace splitft::telemetry
