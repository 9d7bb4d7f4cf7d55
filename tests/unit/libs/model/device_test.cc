#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/model/model.h"

namespace splitft::model {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(ResolveDevice, CpuIsAlwaysThere) {
  EXPECT_EQ(ResolveDevice("cpu").value(), at::Device(at::kCPU));
  EXPECT_TRUE(ResolveDevice("auto").ok());
}

TEST(ResolveDevice, RefusesOtherNames) {
  for (const char* name : {"", "gpu", "cuda", "cuda:", "cuda:-1", "cuda:1x", "cuda: 1", "cuda:999", "CPU", "mps:0"}) {
    const absl::StatusOr<at::Device> device = ResolveDevice(name);
    EXPECT_EQ(device.status().code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(std::string(device.status().message()),
                AllOf(HasSubstr(std::string("\"") + name + "\""), HasSubstr("auto, cpu or cuda:N")));
  }
}

TEST(ResolveDevice, SaysWhyADeviceIsNotThere) {
  const absl::StatusOr<at::Device> device = ResolveDevice("cuda:99");
  EXPECT_EQ(device.status().code(), absl::StatusCode::kFailedPrecondition);
#ifdef SPLITFT_CUDA
  EXPECT_THAT(std::string(device.status().message()), HasSubstr("CUDA devices"));
#else
  EXPECT_THAT(std::string(device.status().message()), HasSubstr("this build has no CUDA"));
  EXPECT_EQ(ResolveDevice("auto").value(), at::Device(at::kCPU));
#endif
}

}  // namespace
}  // namespace splitft::model
