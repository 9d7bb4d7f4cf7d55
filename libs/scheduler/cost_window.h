#pragma once

#include <cstddef>
#include <deque>
#include <vector>

#include "libs/scheduler/cost_model.h"
#include "libs/scheduler/figures.h"
#include "libs/spec/job.h"

namespace splitft::scheduler {

// The cost model's constants, fitted from the last steps: the median over the window of each, so that a step that was
// disturbed does not count. Seconds are taken per block and token, so that steps of before another cut count too.
class CostWindow {
 public:
  static constexpr size_t kSteps = 8;  // medians follow a change within half of it

  // The job outlives the window.
  CostWindow(const spec::FineTuneJob& job, const ModelShape& shape);

  // Adds a step that WhatIsWrong found nothing in, with as many clients as the job has.
  void Add(const StepFigures& figures);

  bool empty() const { return steps_.empty(); }
  size_t size() const { return steps_.size(); }
  const StepFigures& newest() const { return steps_.back(); }
  // The fleet as measured. Not empty.
  Fleet Fit() const;
  // Whether the aggregator has run a block yet, so that it is known what that takes.
  bool knows_server() const { return !server_.empty(); }
  // Of each client the median loss; the mean of the others' where it had no token with a loss.
  std::vector<double> Losses() const;
  // How the newest step was run. Not empty.
  Arrangement Now() const;
  // What `next` must seem to gain so that it is 99 % sure to gain anything: as a share of a step as it is (or,
  // `of_server`, of the aggregator's part of it). What each step of the window alone would say of both is compared, so
  // that noise that makes no difference between them does not count. Three steps at least.
  double GainMargin(const Arrangement& next, bool of_server) const;
  // Measured against predicted seconds of the steps that were run as the newest one, under the same quotas: what the
  // model does not know of.
  // `fleet`: Fit's.
  double Correction(const Fleet& fleet) const;

 private:
  // From the steps [begin, end) of the window.
  Fleet FitOf(size_t begin, size_t end) const;
  int TrunkEnd() const;
  int LowestCut(size_t client) const;
  int HighestCut(size_t client) const;

  const spec::FineTuneJob& job_;
  const ModelShape shape_;
  std::deque<StepFigures> steps_;
  std::vector<int> highest_run_;  // of each client, the highest cut yet: what its peak of memory is of
  // Of the last steps in which the aggregator had blocks to run: where it has none, what they would cost is what they
  // did.
  std::deque<ServerCost> server_;
};

}  // namespace splitft::scheduler
