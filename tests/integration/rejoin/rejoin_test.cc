// A worker process is killed and another takes its place: the job ends with the adapter that it would have had.

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "api/proto/control.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/base/file.h"
#include "tests/integration/cli/program.h"

namespace splitft {
namespace {

namespace fs = std::filesystem;
using cli::Eventually;
using cli::Program;
using cli::ProgramResult;
using ::testing::HasSubstr;

constexpr char kQuickstart[] = SPLITFT_SOURCE_DIR "/examples/quickstart";
constexpr int kPeerLost = 4;
constexpr size_t kLimitBytes = 16 << 20;
constexpr Duration kJobLimit = std::chrono::minutes(4);

// A job of three clients as separate processes. Everything it writes lies in `folder`.
class Job {
 public:
  Job(fs::path folder, const std::vector<std::string>& aggregator_flags) : folder_(std::move(folder)) {
    EXPECT_TRUE(WriteFileAtomically(MakeFolder("") / "job.yaml", Manifest()).ok());
    std::vector<std::string> words = {SPLITFT_AGGREGATOR, "--job",     JobFile(),   "--listen", "127.0.0.1:0",
                                      "--output",         OutFolder(), "--threads", "1"};
    words.insert(words.end(), aggregator_flags.begin(), aggregator_flags.end());
    aggregator_ = std::make_unique<Program>(words, MakeFolder("aggregator"));
    EXPECT_TRUE(Eventually([&] { return cli::ListeningPort(aggregator_->Err()) > 0; })) << aggregator_->Err();
    for (const char* client : {"listings", "tavern", "theatre"}) {
      StartWorker(client);
    }
  }

  // Starts another worker of `client`; the one before goes on, if it lives.
  void StartWorker(const std::string& client) {
    std::vector<std::unique_ptr<Program>>& all = workers_[client];
    all.push_back(std::make_unique<Program>(
        std::vector<std::string>{SPLITFT_WORKER, "--job", JobFile(), "--client", client, "--aggregator",
                                 absl::StrCat("127.0.0.1:", cli::ListeningPort(aggregator_->Err())), "--threads", "1"},
        MakeFolder(absl::StrCat(client, all.size()))));
  }

  bool HasDone(size_t steps, Duration limit = std::chrono::minutes(2)) const {
    return Eventually([&] { return Metrics().size() >= steps; }, limit);
  }
  std::vector<std::string> Metrics() const {
    const absl::StatusOr<std::string> text = ReadFile(fs::path(OutFolder()) / "metrics.jsonl", kLimitBytes);
    return text.ok() ? absl::StrSplit(*text, '\n', absl::SkipEmpty()) : std::vector<std::string>();
  }
  std::string Adapter() const {
    return ReadFile(fs::path(OutFolder()) / "adapter_model.safetensors", kLimitBytes).value_or("");
  }
  std::string Sha256() const {
    return cli::RunProgram({"/usr/bin/sha256sum", OutFolder() + "/adapter_model.safetensors"}, folder_)
        .out.substr(0, 64);
  }
  // What another aggregator says whose last words are all that is left of the job, and what it leaves in `result`.
  ProgramResult RunAggregatorAgain(const std::string& result) {
    return cli::RunProgram({SPLITFT_AGGREGATOR, "--job", JobFile(), "--listen", "127.0.0.1:0", "--output", OutFolder(),
                            "--result-file", result},
                           MakeFolder("again"));
  }
  grpc::Status Apply(const control::Plan& plan) const {
    const auto channel = grpc::CreateChannel(absl::StrCat("127.0.0.1:", cli::ListeningPort(aggregator_->Err())),
                                             grpc::InsecureChannelCredentials());
    grpc::ClientContext context;
    control::PlanAccepted accepted;
    return control::Control::NewStub(channel)->Apply(&context, plan, &accepted);
  }
  Program& aggregator() { return *aggregator_; }
  // The `index`-th worker that was started for `client`.
  Program& worker(const std::string& client, size_t index = 0) { return *workers_[client][index]; }

 private:
  static std::string Manifest() {
    return absl::StrCat(
        "apiVersion: splitft.io/v1alpha1\nkind: FineTuneJob\nmetadata: {name: rejoin, annotations: {splitft.io/uid: "
        "one}}\nspec:\n  model: {source: "
        "{path: ",
        kQuickstart,
        "/base}}\n  lora: {rank: 4, targetModules: [q_proj, v_proj]}\n  training: {steps: 24, batchSize: 2, "
        "microbatches: 2, sequenceLength: 64, learningRate: 4.0e-3, seed: 7, evaluation: {intervalSteps: 4, fraction: "
        "0.01}}\n  clients:\n    - {name: listings, cutLayer: 3, data: {path: ",
        kQuickstart, "/data/listings.csv, columns: {prompt: description, completion: facts}}}\n",
        "    - {name: tavern, cutLayer: 2, data: {path: ", kQuickstart, "/data/tavern.jsonl}}\n",
        "    - {name: theatre, cutLayer: 1, data: {path: ", kQuickstart,
        "/data/theatre.txt}}\n  output: {path: out}\n");
  }
  fs::path MakeFolder(const std::string& name) const {
    fs::create_directories(folder_ / name);
    return folder_ / name;
  }
  std::string JobFile() const { return (folder_ / "job.yaml").string(); }
  std::string OutFolder() const { return (folder_ / "out").string(); }

  const fs::path folder_;
  std::unique_ptr<Program> aggregator_;
  std::map<std::string, std::vector<std::unique_ptr<Program>>> workers_;
};

class RejoinProcesses : public ::testing::Test {
 protected:
  RejoinProcesses() : folder_(fs::temp_directory_path() / absl::StrCat("splitft_rejoin_test_", ::getpid())) {}
  ~RejoinProcesses() override { fs::remove_all(folder_); }

  const fs::path folder_;
};

// The steps' losses and held-out losses, without what depends on time.
std::vector<std::string> Losses(const Job& job) {
  std::vector<std::string> losses;
  for (const std::string& line : job.Metrics()) {
    const size_t begin = line.find("\"loss\"");
    losses.push_back(line.substr(begin, line.find("\"tokens\"") - begin));
  }
  return losses;
}

double LossIn(const std::string& figures) { return std::stod(figures.substr(std::string_view("\"loss\":").size())); }

TEST_F(RejoinProcesses, AWorkerThatIsKilledAndStartedAgainChangesNothing) {
  Job undisturbed(folder_ / "undisturbed", {});
  ASSERT_EQ(undisturbed.aggregator().Wait(kJobLimit).exit_code, 0) << undisturbed.aggregator().Err();
  ASSERT_EQ(undisturbed.Metrics().size(), 24U);

  Job job(folder_ / "disturbed", {"--rejoin-patience", "60"});
  // One that is killed: its connection ends at once.
  ASSERT_TRUE(job.HasDone(2)) << job.aggregator().Err();
  job.worker("tavern").Signal(SIGKILL);
  EXPECT_TRUE(
      Eventually([&] { return job.aggregator().Err().find("client lost client=tavern") != std::string::npos; }));
  job.StartWorker("tavern");
  // One whose node is gone: its connection looks as it did.
  ASSERT_TRUE(job.HasDone(6)) << job.aggregator().Err();
  job.worker("theatre").Signal(SIGSTOP);
  job.StartWorker("theatre");
  ASSERT_TRUE(job.HasDone(8)) << job.aggregator().Err();
  // Two at once.
  job.worker("listings").Signal(SIGKILL);
  job.worker("tavern", 1).Signal(SIGKILL);
  job.StartWorker("listings");
  job.StartWorker("tavern");
  job.worker("theatre").Signal(SIGCONT);
  const ProgramResult replaced = job.worker("theatre").Wait(kJobLimit);
  EXPECT_EQ(replaced.exit_code, kPeerLost);
  EXPECT_THAT(replaced.LastError(), HasSubstr("another worker took the place of client theatre"));

  EXPECT_EQ(job.aggregator().Wait(kJobLimit).exit_code, 0) << job.aggregator().Err();
  for (const auto& [client, index] : {std::pair("listings", 1), std::pair("tavern", 2), std::pair("theatre", 1)}) {
    EXPECT_EQ(job.worker(client, index).Wait(kJobLimit).exit_code, 0) << job.worker(client, index).Err();
  }
  EXPECT_FALSE(job.Adapter().empty());
  EXPECT_TRUE(job.Adapter() == undisturbed.Adapter()) << "adapters differ";
  EXPECT_EQ(Losses(job), Losses(undisturbed));
  std::cout << "undisturbed " << undisturbed.Sha256() << "\ndisturbed   " << job.Sha256() << "\n"
            << job.aggregator().Err();
}

TEST_F(RejoinProcesses, WhoDoesNotComeBackEndsTheJobByName) {
  Job job(folder_, {"--rejoin-patience", "2"});
  ASSERT_TRUE(job.HasDone(1)) << job.aggregator().Err();
  job.worker("tavern").Signal(SIGKILL);
  const ProgramResult ended = job.aggregator().Wait(kJobLimit);
  EXPECT_EQ(ended.exit_code, kPeerLost);
  EXPECT_THAT(ended.LastError(), HasSubstr("client tavern was lost after"));
  EXPECT_THAT(ended.LastError(), HasSubstr("and did not come back within 2 s"));
  EXPECT_EQ(job.worker("theatre").Wait(kJobLimit).exit_code, kPeerLost);
}

// What a scheduler does: other cuts, in mid-run, through the control service.
TEST_F(RejoinProcesses, OtherCutsInMidRunLeaveTheLossesAlone) {
  Job undisturbed(folder_ / "undisturbed", {});
  ASSERT_EQ(undisturbed.aggregator().Wait(kJobLimit).exit_code, 0) << undisturbed.aggregator().Err();

  Job job(folder_ / "moved", {});
  ASSERT_TRUE(job.HasDone(2)) << job.aggregator().Err();
  control::Plan plan;
  plan.set_job_uid("another");
  EXPECT_EQ(job.Apply(plan).error_code(), grpc::NOT_FOUND);
  plan.set_job_uid("one");
  plan.set_number(1);
  for (const auto& [client, cut] : {std::pair("theatre", 4), std::pair("listings", 1), std::pair("tavern", 99)}) {
    control::ClientPlan& wanted = *plan.add_clients();
    wanted.set_name(client);
    wanted.set_cut_layer(cut);
  }
  EXPECT_EQ(job.Apply(plan).error_code(), grpc::INVALID_ARGUMENT);
  plan.mutable_clients()->RemoveLast();
  EXPECT_TRUE(job.Apply(plan).ok());
  EXPECT_EQ(job.Apply(plan).error_code(), grpc::FAILED_PRECONDITION) << "it came before";

  EXPECT_EQ(job.aggregator().Wait(kJobLimit).exit_code, 0) << job.aggregator().Err();
  const std::vector<std::string> moved = Losses(job);
  const std::vector<std::string> stayed = Losses(undisturbed);
  ASSERT_EQ(moved.size(), stayed.size());
  for (size_t i = 0; i < moved.size(); ++i) {
    EXPECT_NEAR(LossIn(moved[i]), LossIn(stayed[i]), 1e-5) << "step " << i + 1;
  }
  EXPECT_THAT(job.Metrics().front(), HasSubstr("\"cut_layer\":1"));
  EXPECT_THAT(job.Metrics().back(), HasSubstr("\"cut_layer\":4"));
}

// A cluster may lose the pod that has ended well before anybody has seen that it did.
TEST_F(RejoinProcesses, AnAggregatorWhoseJobIsDoneDoesNotTrainAgain) {
  Job job(folder_, {});
  ASSERT_EQ(job.aggregator().Wait(kJobLimit).exit_code, 0) << job.aggregator().Err();
  const std::string adapter = job.Adapter();
  const std::string result = (folder_ / "result").string();
  const ProgramResult again = job.RunAggregatorAgain(result);
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_TRUE(job.Adapter() == adapter);
  EXPECT_EQ(job.Metrics().size(), 24U) << "they are kept";
  EXPECT_EQ(ReadFile(result, kLimitBytes).value_or(""), absl::StrCat("{\"adapterSha256\": \"", job.Sha256(), "\"}\n"));
}

// What a kubelet goes by: a worker that lost its aggregator is to be started again.
TEST_F(RejoinProcesses, AWorkerWhoseAggregatorIsKilledEndsAsOneThatLostItsPeer) {
  Job job(folder_, {"--rejoin-patience", "60"});
  ASSERT_TRUE(job.HasDone(1)) << job.aggregator().Err();
  job.aggregator().Signal(SIGKILL);
  for (const char* client : {"listings", "tavern", "theatre"}) {
    EXPECT_EQ(job.worker(client).Wait(kJobLimit).exit_code, kPeerLost) << job.worker(client).Err();
  }
}

}  // namespace
}  // namespace splitft
