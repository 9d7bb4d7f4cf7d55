// int8 on the wire: a quarter of the bytes, nearly the same losses, and every draw of its rounding the same again.

#include <ATen/Parallel.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <iostream>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/golden/train/training_case.h"
#include "tests/support/local_job.h"

namespace splitft {
namespace {

namespace fs = std::filesystem;
using protocol::FrameKind;
using protocol::WireFormat;

class Int8Golden : public ::testing::Test {
 protected:
  Int8Golden() : folder_(fs::temp_directory_path() / absl::StrCat("splitft_int8_", ::getpid())) {
    at::set_num_threads(1);
  }
  ~Int8Golden() override { fs::remove_all(folder_); }

  LocalJobResult Run(const TrainingCase& test, const LocalJobOptions& options = {}) {
    absl::StatusOr<train::JobSetup> setup = OpenCase(test, folder_);
    absl::StatusOr<LocalJobResult> result =
        setup.ok() ? RunLocalJob(*setup, CaseDatasets(test), options) : setup.status();
    if (!result.ok()) {
      ADD_FAILURE() << result.status();
      return {};
    }
    return *std::move(result);
  }

  const fs::path folder_;
};

TrainingCase Case(const std::string& codec, const std::string& labels = "Client") {
  TrainingCase test = ThreeClients();
  test.codec = codec;
  test.labels = labels;
  test.microbatches = 2;
  test.clients[0].batch_size = test.clients[1].batch_size = 2;
  return test;
}

double Mean(const std::vector<double>& losses, size_t begin, size_t end) {
  return std::accumulate(losses.begin() + static_cast<ptrdiff_t>(begin), losses.begin() + static_cast<ptrdiff_t>(end),
                         0.0) /
         static_cast<double>(end - begin);
}

// The largest relative difference among steps [begin, end).
double Furthest(const std::vector<double>& found, const std::vector<double>& exact, size_t begin, size_t end) {
  double furthest = 0;
  for (size_t i = begin; i < end; ++i) {
    furthest = std::max(furthest, std::abs(found[i] - exact[i]) / exact[i]);
  }
  return furthest;
}

// Two runs that differ in the last bits drift apart by their own: a step's loss says little late in a run, the mean of
// twenty still does.
TEST_F(Int8Golden, TrainsAsFp32Does) {
  constexpr size_t kSteps = 60;
  for (const char* labels : {"Client", "Server"}) {
    for (const char* dtype : {"float32", "bfloat16"}) {
      SCOPED_TRACE(absl::StrCat(labels, " ", dtype));
      TrainingCase test = Case("fp32", labels);
      test.steps = kSteps;
      test.dtype = dtype;
      const std::vector<double> exact = Run(test).losses;
      test.codec = "int8";
      const std::vector<double> found = Run(test).losses;
      ASSERT_EQ(exact.size(), kSteps);
      ASSERT_EQ(found.size(), kSteps);
      const double early = Furthest(found, exact, 0, 15);
      const double exact_end = Mean(exact, kSteps - 20, kSteps);
      const double found_end = Mean(found, kSteps - 20, kSteps);
      std::cout << "labels " << labels << ", " << dtype << ": largest relative difference " << early << " in 15 steps, "
                << Furthest(found, exact, 0, kSteps) << " in all; first loss " << exact.front()
                << ", mean of the last 20 " << exact_end << " with fp32, " << found_end << " with int8\n";
      EXPECT_GT(exact.front() - exact_end, 2) << "the job must learn, or the comparison shows little";
      EXPECT_NE(found, exact) << "int8 has been on the wire";
      EXPECT_LE(early, 0.003);
      EXPECT_NEAR(found_end, exact_end, 0.05 * exact_end);
    }
  }
}

TEST_F(Int8Golden, OnlyHiddenStatesAndTheirGradientsAreInt8) {
  TrainingCase test = Case("int8");
  test.steps = 2;
  test.extra_training = "evaluation: {intervalSteps: 2, fraction: 0.1}";
  std::vector<protocol::Frame> seen;
  Run(test, {.seen = &seen});
  int rows = 0;
  for (const protocol::Frame& frame : seen) {
    const auto bytes = static_cast<int64_t>(frame.payload.bytes().size());
    if (frame.tensor.shape.size() == 2) {
      EXPECT_EQ(frame.tensor.format, WireFormat::kInt8) << DescribeFrame(frame.key);
      EXPECT_EQ(bytes, frame.tensor.shape[0] * (4 + frame.tensor.shape[1])) << DescribeFrame(frame.key);
      ++rows;
    } else {
      EXPECT_NE(frame.tensor.format, WireFormat::kInt8) << DescribeFrame(frame.key);
    }
  }
  EXPECT_GT(rows, 2 * 2 * 3 * 4) << "four kinds of every client's microbatches in two steps, and an evaluation's";
}

// The noise of a gradient is a function of its place: not of the attempt, nor of who was lost meanwhile.
TEST_F(Int8Golden, AStepThatIsStartedOverIsTheSameBitForBit) {
  for (const char* labels : {"Client", "Server"}) {
    TrainingCase test = Case("int8", labels);
    test.steps = 6;
    const LocalJobResult expected = Run(test);
    ASSERT_EQ(expected.losses.size(), 6U);
    int losses = 0;
    const auto fate = [&](const protocol::Frame& frame, bool /*up*/) {
      const bool lost =
          frame.key.kind == FrameKind::kGradientDown && frame.key.step == static_cast<uint64_t>(losses) && losses < 5;
      losses += lost ? 1 : 0;
      return lost ? Fate::kBreaks : Fate::kLives;
    };
    const LocalJobResult found = Run(test, {.rejoin_patience = std::chrono::seconds(60), .fate = fate});
    EXPECT_EQ(losses, 5);
    EXPECT_EQ(found.losses, expected.losses);
    EXPECT_TRUE(found.adapters == expected.adapters) << "adapters differ";
  }
}

}  // namespace
}  // namespace splitft
