#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include "cli/command.h"

namespace splitft::cli {
namespace {

#ifdef SPLITFT_CUDA
constexpr const char* kCuda = "yes";
#else
constexpr const char* kCuda = "no";
#endif

absl::Status Version(const Arguments& /*arguments*/, const CommandContext& context) {
  context.out << "splitft " << SPLITFT_VERSION << "\nLibTorch " << TORCH_VERSION << "\nCPU capability "
              << at::get_cpu_capability() << "\nCUDA in this build: " << kCuda << "\n";
  return absl::OkStatus();
}

}  // namespace

Command VersionCommand() {
  return {
      .spec = {.name = "version", .summary = "Print the versions of splitft and LibTorch and what this build can do"},
      .run = &Version};
}

}  // namespace splitft::cli
