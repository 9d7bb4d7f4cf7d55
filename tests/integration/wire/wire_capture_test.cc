// What crosses the wire is captured between the real programs: with labels on the client, no text and no token is in
// it.

#include <unistd.h>

#include <array>
#include <filesystem>
#include <set>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "libs/base/file.h"
#include "libs/text/tokenizer.h"
#include "tests/integration/cli/program.h"
#include "tests/support/cuttable_proxy.h"

namespace splitft {
namespace {

namespace fs = std::filesystem;

constexpr char kModel[] = SPLITFT_SOURCE_DIR "/examples/quickstart/base";
// What only this client knows.
constexpr char kSecret[] =
    "The patient Ermengarde Quillfeather of ward nine was given forty drops of laudanum by Doctor Haversack "
    "on the evening of the storm, and nobody but the night nurse knew of it.";

class WireCapture : public ::testing::Test {
 protected:
  WireCapture() : folder_(fs::temp_directory_path() / absl::StrCat("splitft_wire_", ::getpid())) {
    fs::create_directories(folder_ / "aggregator");
    fs::create_directories(folder_ / "worker");
  }
  ~WireCapture() override { fs::remove_all(folder_); }

  // Every byte between worker and aggregator of a job of three steps.
  std::string Capture(const std::string& labels) {
    const std::string job = (folder_ / "job.yaml").string();
    EXPECT_TRUE(WriteFileAtomically(folder_ / "data.txt", kSecret).ok());
    EXPECT_TRUE(
        WriteFileAtomically(
            job, absl::StrCat("apiVersion: splitft.io/v1alpha1\nkind: FineTuneJob\nmetadata: {name: wire}\nspec:\n"
                              "  model: {source: {path: ",
                              kModel, "}}\n  split: {labels: ", labels,
                              "}\n  training: {steps: 3, batchSize: 1, sequenceLength: 64}\n"
                              "  clients: [{name: hospital, data: {path: data.txt}}]\n  output: {path: out}\n"))
            .ok());
    cli::Program aggregator({SPLITFT_AGGREGATOR, "--job", job, "--listen", "127.0.0.1:0", "--output",
                             (folder_ / "out").string(), "--threads", "1"},
                            folder_ / "aggregator");
    EXPECT_TRUE(cli::Eventually([&] { return cli::ListeningPort(aggregator.Err()) > 0; })) << aggregator.Err();
    absl::StatusOr<std::unique_ptr<CuttableProxy>> proxy = CuttableProxy::Start(cli::ListeningPort(aggregator.Err()));
    if (!proxy.ok()) {
      ADD_FAILURE() << proxy.status();
      return "";
    }
    cli::Program worker({SPLITFT_WORKER, "--job", job, "--client", "hospital", "--aggregator",
                         absl::StrCat("127.0.0.1:", (*proxy)->port()), "--threads", "1"},
                        folder_ / "worker");
    EXPECT_EQ(aggregator.Wait(std::chrono::seconds(120)).exit_code, 0) << aggregator.Err();
    EXPECT_EQ(worker.Wait(std::chrono::seconds(60)).exit_code, 0) << worker.Err();
    return (*proxy)->Seen();
  }

  const fs::path folder_;
};

// `ids` as they lie in memory in integers of type T.
template <typename T>
std::string Bytes(const std::vector<int32_t>& ids, size_t begin, size_t count) {
  std::string bytes;
  for (size_t i = begin; i < begin + count; ++i) {
    const T id = static_cast<T>(ids[i]);
    bytes.append(reinterpret_cast<const char*>(&id), sizeof(id));
  }
  return bytes;
}

// How many windows of the secret's tokens, or of its text, lie in `wire`.
struct Leaks {
  int tokens = 0;
  int text = 0;
};
Leaks Search(const std::string& wire) {
  const text::Tokenizer tokenizer = text::Tokenizer::Load(kModel).value();
  const std::vector<int32_t> ids = tokenizer.Encode(kSecret, false).value();
  constexpr size_t kTokenWindow = 4;
  constexpr size_t kTextWindow = 8;
  Leaks leaks;
  for (size_t i = 0; i + kTokenWindow <= ids.size(); ++i) {
    for (const std::string& bytes : {Bytes<int16_t>(ids, i, kTokenWindow), Bytes<int32_t>(ids, i, kTokenWindow),
                                     Bytes<int64_t>(ids, i, kTokenWindow)}) {
      leaks.tokens += wire.find(bytes) != std::string::npos ? 1 : 0;
    }
  }
  const std::string secret = kSecret;
  for (size_t i = 0; i + kTextWindow <= secret.size(); ++i) {
    leaks.text += wire.find(secret.substr(i, kTextWindow)) != std::string::npos ? 1 : 0;
  }
  return leaks;
}

TEST_F(WireCapture, WithLabelsOnTheClientNeitherTextNorTokensCross) {
  const std::string wire = Capture("Client");
  // Three steps of a 64-token batch at this hidden size: hidden states did cross.
  EXPECT_GT(wire.size(), 100000U);
  const Leaks leaks = Search(wire);
  EXPECT_EQ(leaks.tokens, 0);
  EXPECT_EQ(leaks.text, 0);
}

// The detector itself: labels are tokens, and with labels on the server they must be found.
TEST_F(WireCapture, WithLabelsOnTheServerTheTokensAreFound) {
  const Leaks leaks = Search(Capture("Server"));
  EXPECT_GT(leaks.tokens, 10);
  EXPECT_EQ(leaks.text, 0);
}

}  // namespace
}  // namespace splitft
