#include "libs/model/batch_layout.h"

#include <numeric>

namespace splitft::model {

std::vector<int64_t> Positions(const BatchLayout& layout) {
  std::vector<int64_t> positions(static_cast<size_t>(layout.tokens()));
  auto row = positions.begin();
  for (const BatchPart& part : layout.parts) {
    for (const SequenceRun& run : part.runs) {
      for (int64_t i = 0; i < run.count; ++i, row += run.length) {
        std::iota(row, row + run.length, int64_t{0});
      }
    }
  }
  return positions;
}

}  // namespace splitft::model
