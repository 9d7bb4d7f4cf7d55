// The operator's decisions over random histories of a cluster: pods start, end, are killed, evicted, deleted and lost,
// the operator crashes between its writes, users suspend and resume. Whatever happens, the job ends as it should.

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "libs/base/random.h"
#include "operator/decide/outcome.h"
#include "tests/support/operator_cluster.h"

namespace splitft::controller {
namespace {

constexpr char kManifest[] =
    "apiVersion: splitft.io/v1alpha1\nkind: FineTuneJob\nmetadata: {name: job}\nspec:\n"
    "  model: {source: {hostPath: /model}}\n  training: {steps: 50}\n  backoffLimit: 1000\n  startDeadlineSeconds: 0\n"
    "  stallTimeoutSeconds: 0\n  clients:\n    - {name: bank, data: {hostPath: /a}}\n"
    "    - {name: hospital, data: {hostPath: /b}}\n    - {name: factory, data: {hostPath: /c}}\n"
    "  output: {hostPath: /out}\n";

// One history, drawn from a seed.
class History {
 public:
  explicit History(uint64_t seed) : draws_({.seed = seed, .purpose = RandomPurpose::kSampling}), cluster_(kManifest) {}

  void Run() {
    for (int i = 0; i < 400 && cluster_.state() != "Complete"; ++i) {
      Happen();
      cluster_.Reconcile(Draw(4) == 0 ? static_cast<int>(Draw(6)) : -1);
      Check();
    }
    cluster_.job().lifecycle.suspend = false;
    for (int i = 0; i < 200 && cluster_.state() != "Complete"; ++i) {
      Heal();
      cluster_.Reconcile();
      Check();
    }
    EXPECT_EQ(cluster_.state(), "Complete");
    cluster_.Advance(std::chrono::minutes(1));
    cluster_.Settle();
    for (const PodView& pod : cluster_.pods()) {
      EXPECT_TRUE(pod.phase == PodPhase::kSucceeded || pod.phase == PodPhase::kFailed) << pod.name << " is left over";
    }
  }

 private:
  uint64_t Draw(uint64_t bound) { return draws_.Below(drawn_++, bound); }

  PodView* AnyPod() {
    std::vector<PodView>& pods = cluster_.pods();
    return pods.empty() ? nullptr : &pods[Draw(pods.size())];
  }
  static bool Lives(const PodView& pod) { return pod.phase == PodPhase::kPending || pod.phase == PodPhase::kRunning; }

  void Happen() {
    PodView* pod = AnyPod();
    switch (Draw(8)) {
      case 0:
        cluster_.Advance(std::chrono::seconds(1 + static_cast<int64_t>(Draw(400))));
        return;
      case 1:
        cluster_.job().lifecycle.suspend = Draw(4) == 0;
        return;
      case 2:
        Progress();
        return;
      default:
        break;
    }
    if (pod == nullptr) {
      return;
    }
    switch (Draw(6)) {
      case 0:
        cluster_.Remove(pod->name);  // its grace is over, or somebody forced it
        break;
      case 1:
        if (Lives(*pod) && !pod->deletion.has_value()) {
          pod->deletion = cluster_.now() + std::chrono::seconds(30);
        }
        break;
      case 2:
        if (Lives(*pod)) {
          cluster_.Fail(pod, Draw(2) == 0 ? 137 : 4, Draw(2) == 0 ? "OOMKilled" : "Error");
        }
        break;
      case 3:
        if (Lives(*pod)) {
          cluster_.Fail(pod, 143, "Evicted");
        }
        break;
      default:
        if (pod->phase == PodPhase::kPending) {
          OperatorCluster::Run(pod);
        }
        break;
    }
    if (const PodView* aggregator = cluster_.Aggregator(); aggregator == nullptr || !Lives(*aggregator)) {
      cluster_.set_progress(std::nullopt);  // its word is that of a pod that is gone
    }
  }

  void Progress() {
    if (PodView* aggregator = cluster_.Aggregator(); aggregator != nullptr && aggregator->phase == PodPhase::kRunning) {
      cluster_.Train(static_cast<int64_t>(Draw(50)));
    }
  }

  // From now on nothing goes wrong any more.
  void Heal() {
    cluster_.Advance(std::chrono::minutes(10));
    for (size_t i = cluster_.pods().size(); i-- > 0;) {
      if (cluster_.pods()[i].deletion.has_value()) {
        cluster_.Remove(cluster_.pods()[i].name);
      }
    }
    bool all = true;
    for (const char* client : {"bank", "hospital", "factory"}) {
      PodView* pod = cluster_.Worker(client);
      all = all && pod != nullptr && pod->phase == PodPhase::kRunning;
      if (pod != nullptr && pod->phase == PodPhase::kPending) {
        OperatorCluster::Run(pod);
      }
    }
    PodView* aggregator = cluster_.Aggregator();
    if (aggregator == nullptr || aggregator->phase == PodPhase::kFailed) {
      cluster_.set_progress(std::nullopt);
    } else if (aggregator->phase == PodPhase::kPending) {
      OperatorCluster::Run(aggregator);
    } else if (all) {
      aggregator->phase = PodPhase::kSucceeded;
    }
  }

  void Check() {
    std::map<std::string, int> living;
    std::set<std::string> names;
    for (const PodView& pod : cluster_.pods()) {
      EXPECT_TRUE(names.insert(pod.name).second) << "two pods are called " << pod.name;
      // One that should long be gone does not count: nobody hears of its node.
      const bool lost = pod.deletion.has_value() && cluster_.now() >= *pod.deletion + std::chrono::seconds(60);
      living[std::string(RoleName(pod.role)) + pod.client] += Lives(pod) && !lost ? 1 : 0;
    }
    for (const auto& [member, count] : living) {
      EXPECT_LE(count, 1) << member << ": " << Describe();
    }
    EXPECT_NE(cluster_.state(), "Failed") << cluster_.status().dump(1);
  }

  // Every pod, for the reader of a failure.
  std::string Describe() {
    std::string text;
    for (const PodView& pod : cluster_.pods()) {
      absl::StrAppend(&text, pod.name, " phase ", static_cast<int>(pod.phase), " deletion ",
                      pod.deletion.has_value() ? (*pod.deletion - cluster_.now()).count() : 0, " ms from now; ");
    }
    return text;
  }

  RandomStream draws_;
  uint64_t drawn_ = 0;
  OperatorCluster cluster_;
};

TEST(Operator, EveryHistoryEndsWell) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    History(seed).Run();
    if (testing::Test::HasFailure()) {
      return;
    }
  }
}

}  // namespace
}  // namespace splitft::controller
