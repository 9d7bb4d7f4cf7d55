#include "libs/base/processor_meter.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>

namespace splitft {
namespace {

namespace fs = std::filesystem;

class ProcessorMeterTest : public testing::Test {
 protected:
  ProcessorMeterTest() : folder_(fs::temp_directory_path() / ("splitft_processor_" + std::to_string(::getpid()))) {}
  ~ProcessorMeterTest() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  ProcessorMeter Meter() const { return ProcessorMeter(folder_ / "membership", folder_ / "groups"); }

  const fs::path folder_;
};

TEST_F(ProcessorMeterTest, ReadsTheUnifiedHierarchy) {
  Write("membership", "0::/jobs/bank\n");
  Write("groups/cpu.stat", "usage_usec 7\n");
  Write("groups/jobs/bank/cpu.stat", "usage_usec 100\nnr_throttled 3\nthrottled_usec 1500000\n");
  ProcessorMeter meter = Meter();
  EXPECT_EQ(meter.Take().throttled_seconds, 0);
  Write("groups/jobs/bank/cpu.stat", "usage_usec 100\nnr_throttled 4\nthrottled_usec 1750000\n");
  Write("groups/jobs/bank/cpu.max", "25000 100000\n");
  const ProcessorMeter::Use use = meter.Take();
  EXPECT_DOUBLE_EQ(use.throttled_seconds, 0.25);
  EXPECT_DOUBLE_EQ(use.quota_cores, 0.25);
  Write("groups/jobs/bank/cpu.max", "max 100000\n");
  EXPECT_EQ(meter.Take().quota_cores, 0);
}

TEST_F(ProcessorMeterTest, ReadsTheCpuControllersOwnHierarchy) {
  Write("membership", "5:cpuset:/other\n4:cpu,cpuacct:/bank\n1:name=systemd:/x\n0::/\n");
  Write("groups/cpu/bank/cpu.stat", "nr_periods 9\nnr_throttled 3\nthrottled_time 1000000000\n");
  ProcessorMeter meter = Meter();
  Write("groups/cpu/bank/cpu.stat", "nr_periods 9\nnr_throttled 3\nthrottled_time 3000000000\n");
  Write("groups/cpu/bank/cpu.cfs_quota_us", "150000\n");
  Write("groups/cpu/bank/cpu.cfs_period_us", "100000\n");
  const ProcessorMeter::Use use = meter.Take();
  EXPECT_DOUBLE_EQ(use.throttled_seconds, 2);
  EXPECT_DOUBLE_EQ(use.quota_cores, 1.5);
  Write("groups/cpu/bank/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(meter.Take().quota_cores, 0);
}

TEST_F(ProcessorMeterTest, OfAContainerThatSeesTheHostsPathTakesTheRootThatItSees) {
  Write("membership", "4:cpu,cpuacct:/kubepods/pod1\n");
  Write("groups/cpu/cpu.stat", "throttled_time 0\n");
  ProcessorMeter meter = Meter();
  Write("groups/cpu/cpu.stat", "throttled_time 500000000\n");
  EXPECT_DOUBLE_EQ(meter.Take().throttled_seconds, 0.5);
}

TEST_F(ProcessorMeterTest, CountsFromAMoveOn) {
  Write("membership", "0::/a\n");
  Write("groups/a/cpu.stat", "throttled_usec 9000000\n");
  Write("groups/b/cpu.stat", "throttled_usec 2000000\n");
  ProcessorMeter meter = Meter();
  Write("membership", "0::/b\n");
  EXPECT_EQ(meter.Take().throttled_seconds, 0);
  Write("groups/b/cpu.stat", "throttled_usec 2500000\n");
  EXPECT_DOUBLE_EQ(meter.Take().throttled_seconds, 0.5);
}

TEST_F(ProcessorMeterTest, KnowsWhatTheProcessUsed) {
  ProcessorMeter meter = Meter();
  const std::clock_t start = std::clock();
  while (std::clock() - start < CLOCKS_PER_SEC / 20) {
  }
  EXPECT_GE(meter.Take().cpu_seconds, 0.04);
}

TEST_F(ProcessorMeterTest, IsZeroWhereThereIsNoQuota) {
  EXPECT_EQ(Meter().Take().throttled_seconds, 0) << "no control groups at all";
  Write("membership", "no line of it\n0::/a\n");
  Write("groups/a/cpu.stat", "usage_usec 9000000\n");
  EXPECT_EQ(Meter().Take().throttled_seconds, 0);
}

}  // namespace
}  // namespace splitft
