#include <ATen/detail/CUDAHooksInterface.h>

#include <charconv>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "libs/model/model.h"

namespace splitft::model {
namespace {

#ifdef SPLITFT_CUDA
constexpr bool kBuiltWithCuda = true;
#else
constexpr bool kBuiltWithCuda = false;
#endif

constexpr std::string_view kCudaPrefix = "cuda:";

int GpuCount() { return kBuiltWithCuda ? at::detail::getCUDAHooks().deviceCount() : 0; }

}  // namespace

absl::StatusOr<at::Device> ResolveDevice(std::string_view name) {
  if (name == "cpu" || (name == "auto" && GpuCount() == 0)) {
    return at::Device(at::kCPU);
  }
  if (name == "auto") {
    return at::Device(at::kCUDA, 0);
  }
  c10::DeviceIndex index = 0;
  const std::string_view digits = name.substr(std::min(kCudaPrefix.size(), name.size()));
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (!name.starts_with(kCudaPrefix) || digits.empty() || error != std::errc() ||
      end != digits.data() + digits.size() || index < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("device is \"", std::string(name), "\"; expected auto, cpu or cuda:N with N from 0"));
  }
  if (!kBuiltWithCuda) {
    return absl::FailedPreconditionError(absl::StrCat(
        "device is \"", std::string(name), "\", but this build has no CUDA; use auto or cpu, or a CUDA build"));
  }
  if (index >= GpuCount()) {
    return absl::FailedPreconditionError(
        absl::StrCat("device is \"", std::string(name), "\", but this machine has ", GpuCount(), " CUDA devices"));
  }
  return at::Device(at::kCUDA, index);
}

}  // namespace splitft::model
