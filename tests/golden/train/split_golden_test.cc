// Split training is exact: the loss curve does not depend on where the model is cut, and it is PEFT's.

#include <ATen/Parallel.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/golden/train/training_case.h"
#include "tests/support/local_job.h"

namespace splitft {
namespace {

namespace fs = std::filesystem;
using ::testing::Each;
using ::testing::Not;

class SplitGolden : public ::testing::Test {
 protected:
  SplitGolden() : folder_(fs::temp_directory_path() / absl::StrCat("splitft_golden_", ::getpid())) {
    at::set_num_threads(1);
  }
  ~SplitGolden() override { fs::remove_all(folder_); }

  LocalJobResult Run(const TrainingCase& test, const LocalJobOptions& options = {}) {
    absl::StatusOr<train::JobSetup> setup = OpenCase(test, folder_);
    if (!setup.ok()) {
      ADD_FAILURE() << setup.status();
      return {};
    }
    absl::StatusOr<LocalJobResult> result = RunLocalJob(*setup, CaseDatasets(test), options);
    if (!result.ok()) {
      ADD_FAILURE() << result.status();
      return {};
    }
    return *std::move(result);
  }

  std::vector<double> Peft(const TrainingCase& test) {
    absl::StatusOr<train::JobSetup> setup = OpenCase(test, folder_);
    absl::StatusOr<std::vector<double>> losses = setup.ok() ? PeftLosses(test, *setup, folder_) : setup.status();
    if (!losses.ok()) {
      ADD_FAILURE() << losses.status();
      return {};
    }
    return *losses;
  }

  const fs::path folder_;
};

double LargestRelativeDifference(const std::vector<double>& a, const std::vector<double>& b) {
  EXPECT_EQ(a.size(), b.size());
  double largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(a[i] - b[i]) / std::abs(b[i]));
  }
  return largest;
}

TrainingCase OneClient(const std::string& model) {
  TrainingCase test;
  test.model = model;
  test.target_modules = model == "gpt2" ? "c_attn, c_proj, c_fc" : "q_proj, v_proj, down_proj";
  test.clients = {{.name = "bank", .cut_layer = 1, .batch_size = 2, .lengths = {16, 16, 12, 9, 16}}};
  return test;
}

class EveryCut : public SplitGolden, public ::testing::WithParamInterface<std::string> {};

TEST_P(EveryCut, OneClientsLossCurveIsBitIdenticalAndThatOfPeft) {
  const TrainingCase first = OneClient(GetParam());
  const LocalJobResult expected = Run(first);
  ASSERT_EQ(expected.losses.size(), 20U);
  EXPECT_LT(expected.losses.back(), expected.losses.front()) << "the job must learn, or the comparison shows little";
  for (const char* labels : {"Client", "Server"}) {
    for (int cut = 1; cut <= 4; ++cut) {
      TrainingCase test = first;
      test.labels = labels;
      test.clients[0].cut_layer = cut;
      const LocalJobResult result = Run(test);
      EXPECT_EQ(result.losses, expected.losses) << "labels " << labels << ", cut " << cut;
      EXPECT_EQ(result.adapters, expected.adapters) << "labels " << labels << ", cut " << cut;
    }
  }
  const double difference = LargestRelativeDifference(expected.losses, Peft(first));
  std::cout << GetParam() << ": largest relative difference to PEFT over 20 steps: " << difference << "\n";
  EXPECT_LE(difference, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Models, EveryCut, ::testing::Values("gpt2", "qwen2"));

TEST_F(SplitGolden, TailBlocksOnTheClientChangeNothing) {
  TrainingCase test = OneClient("gpt2");
  const LocalJobResult expected = Run(test);
  for (int tail = 1; tail <= 3; ++tail) {
    test.tail_blocks = tail;
    EXPECT_EQ(Run(test).losses, expected.losses) << tail;
  }
}

TEST_F(SplitGolden, Bf16AndDropoutDoNotDependOnTheCutEither) {
  TrainingCase test = OneClient("gpt2");
  test.dtype = "bfloat16";
  test.dropout = 0.2;
  const LocalJobResult expected = Run(test);
  TrainingCase dry = test;
  dry.dropout = 0;
  EXPECT_NE(Run(dry).losses, expected.losses) << "dropout must do something";
  for (int cut = 2; cut <= 4; ++cut) {
    test.clients[0].cut_layer = cut;
    EXPECT_EQ(Run(test).losses, expected.losses) << cut;
  }
}

TEST_F(SplitGolden, ThreeUnequalClientsTrainAsPeftOnTheUnionOfTheirBatchesWhateverTheCuts) {
  TrainingCase test = ThreeClients();
  const std::vector<double> peft = Peft(test);
  for (const std::vector<int>& cuts : {std::vector<int>{1, 3, 2}, {4, 1, 1}, {2, 2, 2}, {4, 4, 4}}) {
    for (const char* labels : {"Client", "Server"}) {
      for (size_t c = 0; c < cuts.size(); ++c) {
        test.clients[c].cut_layer = cuts[c];
      }
      test.labels = labels;
      const double difference = LargestRelativeDifference(Run(test).losses, peft);
      std::cout << "cuts " << cuts[0] << cuts[1] << cuts[2] << " labels " << labels << ": " << difference << "\n";
      EXPECT_LE(difference, 1e-4);
    }
  }
}

TEST_F(SplitGolden, MicrobatchesGiveTheFullBatchsGradient) {
  TrainingCase test = OneClient("gpt2");
  test.dropout = 0.3;
  test.clients[0].batch_size = 4;
  const LocalJobResult expected = Run(test);
  for (const int microbatches : {2, 3, 4}) {
    test.microbatches = microbatches;
    EXPECT_LE(LargestRelativeDifference(Run(test).losses, expected.losses), 1e-5) << microbatches;
  }
}

TEST_F(SplitGolden, FrozenClientBlocksKeepTheirAdapters) {
  TrainingCase test = OneClient("gpt2");
  test.train_client = false;
  test.clients[0].cut_layer = 2;
  const LocalJobResult client_labels = Run(test);
  test.labels = "Server";
  const LocalJobResult server_labels = Run(test);
  EXPECT_EQ(client_labels.losses, server_labels.losses);
  const absl::StatusOr<train::JobSetup> setup = OpenCase(test, folder_);
  ASSERT_TRUE(setup.ok()) << setup.status();
  const std::vector<float> initial = setup->layout->Initialize(setup->job.training.seed);
  const auto head = static_cast<size_t>(setup->layout->BlockRange(0, 2).size);
  for (size_t i = 0; i < head; ++i) {
    EXPECT_EQ(client_labels.adapters[i], initial[i]) << i;
  }
  EXPECT_NE(client_labels.adapters.back(), initial.back());
}

TEST_F(SplitGolden, EvaluationIsTheLossOfTheHeldOutRowsAndStopsEarly) {
  TrainingCase test = OneClient("gpt2");
  test.extra_training = "evaluation: {intervalSteps: 5, fraction: 0.1}";
  const LocalJobResult client_labels = Run(test);
  EXPECT_EQ(client_labels.eval_losses.size(), 4U);
  EXPECT_EQ(client_labels.losses, Run(OneClient("gpt2")).losses) << "evaluating must not touch training";
  test.labels = "Server";
  test.clients[0].cut_layer = 3;
  EXPECT_EQ(Run(test).eval_losses, client_labels.eval_losses);
  test.extra_training = "evaluation: {intervalSteps: 2, fraction: 0.1, earlyStopping: {patience: 2, minDelta: 1000}}";
  const LocalJobResult stopped = Run(test);
  EXPECT_EQ(stopped.reason, "EarlyStopped");
  EXPECT_EQ(stopped.losses.size(), 6U);  // the first evaluation sets the mark; two more do not better it by 1000
}

TEST_F(SplitGolden, WithLabelsOnTheClientNoLabelAndNoTokenCrossesTheWire) {
  TrainingCase test = ThreeClients();
  test.steps = 3;
  std::vector<protocol::Frame> seen;
  Run(test, {.seen = &seen});
  ASSERT_GT(seen.size(), 40U);
  for (const protocol::Frame& frame : seen) {
    EXPECT_NE(frame.key.kind, protocol::FrameKind::kLabelsUp);
    EXPECT_NE(frame.tensor.format, protocol::WireFormat::kInt32);
  }
  // The detector itself: with labels on the server they are there to be found.
  test.labels = "Server";
  seen.clear();
  Run(test, {.seen = &seen});
  EXPECT_THAT(seen, Not(Each(::testing::Field(&protocol::Frame::tensor,
                                              ::testing::Field(&protocol::TensorHeader::format,
                                                               ::testing::Ne(protocol::WireFormat::kInt32))))));
}

}  // namespace
}  // namespace splitft
