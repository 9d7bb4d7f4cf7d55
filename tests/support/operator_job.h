#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "operator/decide/outcome.h"
#include "tests/support/operator_cluster.h"

namespace splitft::controller {

// A job of two clients, bank and hospital, and what the operator decides about it.
class Decides : public testing::Test {
 protected:
  // With `more` lines of the manifest's spec.
  static std::string Manifest(const std::string& more = "") {
    return absl::StrCat(
        "apiVersion: splitft.io/v1alpha1\nkind: FineTuneJob\nmetadata: {name: job}\nspec:\n"
        "  model: {source: {hostPath: /model}}\n  training: {steps: 100}\n  clients:\n"
        "    - {name: bank, data: {hostPath: /bank.jsonl}}\n    - {name: hospital, data: {hostPath: /hospital.txt}}\n"
        "  output: {persistentVolumeClaim: results}\n",
        more);
  }
  void Begin(const std::string& more = "") {
    cluster_.emplace(Manifest(more));
    cluster_->Settle();
  }
  OperatorCluster& c() { return *cluster_; }
  std::string FailedMessage() { return FindCondition(c().status(), "Failed")->value("message", ""); }

  std::optional<OperatorCluster> cluster_;
};

}  // namespace splitft::controller
