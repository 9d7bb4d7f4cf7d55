#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "libs/model/model.h"
#include "libs/model/model_directory.h"

namespace splitft::model {

// Reads the tensors below one name prefix onto a placement: without a copy where type and device are the file's own.
// The first error stays; a reader that has one returns undefined tensors, so a loader checks status() once, at its end.
class WeightReader {
 public:
  WeightReader(const ModelDirectory& directory, std::string prefix, const Placement& placement)
      : directory_(directory), prefix_(std::move(prefix)), placement_(placement) {}

  // The tensor "<prefix>.<name>"; it must have `shape`.
  at::Tensor Read(const std::string& name, const std::vector<int64_t>& shape);
  // Likewise where `present`, else undefined.
  at::Tensor ReadIf(bool present, const std::string& name, const std::vector<int64_t>& shape) {
    return present ? Read(name, shape) : at::Tensor();
  }

  // The tensor on the placement's device, in the type it is stored in.
  at::Tensor ReadAsStored(const std::string& name, const std::vector<int64_t>& shape);

  const absl::Status& status() const { return status_; }

 private:
  const ModelDirectory& directory_;
  std::string prefix_;
  Placement placement_;
  absl::Status status_;
};

// `part`, or the first error of the reader it was read with.
template <typename Part, typename Loaded>
absl::StatusOr<std::unique_ptr<Part>> FinishLoading(const WeightReader& weights, std::unique_ptr<Loaded> part) {
  if (!weights.status().ok()) {
    return weights.status();
  }
  return part;
}

}  // namespace splitft::model
