#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace splitft::model {

// A batch is ragged: its tokens lie one after another in N rows, and no padding exists. `count` consecutive sequences
// of `length` tokens each; a token attends to itself and to earlier tokens of its own sequence, and positions start at
// 0 in each.
struct SequenceRun {
  int64_t count = 0;
  int64_t length = 0;
  bool operator==(const SequenceRun&) const = default;
};

// The rows of one client's microbatch.
struct BatchPart {
  std::vector<SequenceRun> runs;
  // What the client's random draws are keyed by (libs/base/random.h), so that dropout does not depend on who computes a
  // block or how the batch was cut: the element at (row, column) draws index (first_token + row) * columns + column.
  uint64_t client = 0;
  uint64_t step = 0;
  int64_t first_token = 0;  // of this microbatch in the client's whole batch

  int64_t tokens() const {
    int64_t total = 0;
    for (const SequenceRun& run : runs) {
      total += run.count * run.length;
    }
    return total;
  }
};

// The rows of a hidden state [N, D]: the parts' rows one after another.
struct BatchLayout {
  std::vector<BatchPart> parts;

  int64_t tokens() const {
    int64_t total = 0;
    for (const BatchPart& part : parts) {
      total += part.tokens();
    }
    return total;
  }
  // The longest sequence's tokens.
  int64_t longest() const {
    int64_t most = 0;
    for (const BatchPart& part : parts) {
      for (const SequenceRun& run : part.runs) {
        most = std::max(most, run.length);
      }
    }
    return most;
  }
};

// Each row's position in its own sequence: 0, 1, .. length - 1 for every sequence.
std::vector<int64_t> Positions(const BatchLayout& layout);

}  // namespace splitft::model
