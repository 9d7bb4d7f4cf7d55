#include "libs/text/packing.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

namespace splitft::text {
namespace {

// For each sample the row it goes to.
std::vector<std::vector<size_t>> BestFitDecreasing(const std::vector<Sample>& samples, int64_t capacity) {
  const auto length = [&](size_t i) { return static_cast<int64_t>(samples[i].tokens.size()); };
  std::vector<size_t> order(samples.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return length(a) > length(b); });

  std::vector<std::vector<size_t>> rows;
  std::set<std::pair<int64_t, size_t>> open;  // (room, row)
  for (const size_t i : order) {
    int64_t room = capacity;
    size_t row = rows.size();
    if (const auto fullest = open.lower_bound({length(i), 0}); fullest != open.end()) {
      std::tie(room, row) = *fullest;
      open.erase(fullest);
    } else {
      rows.emplace_back();
    }
    rows[row].push_back(i);
    if (room > length(i)) {
      open.insert({room - length(i), row});
    }
  }
  return rows;
}

}  // namespace

std::vector<Row> PackRows(std::vector<Sample> samples, int64_t capacity) {
  std::vector<std::vector<size_t>> assignment = BestFitDecreasing(samples, capacity);
  for (std::vector<size_t>& members : assignment) {
    std::sort(members.begin(), members.end());
  }
  std::sort(assignment.begin(), assignment.end());  // by first sample
  std::vector<Row> rows(assignment.size());
  for (size_t row = 0; row < rows.size(); ++row) {
    for (const size_t i : assignment[row]) {
      rows[row].samples.push_back(std::move(samples[i]));
    }
  }
  return rows;
}

}  // namespace splitft::text
