#include "libs/model/weights.h"

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace splitft::model {

at::Tensor WeightReader::Read(const std::string& name, const std::vector<int64_t>& shape) {
  if (!status_.ok()) {
    return {};
  }
  const absl::StatusOr<at::Tensor> stored =
      directory_.Tensor(prefix_.empty() ? name : absl::StrCat(prefix_, ".", name), shape);
  if (!stored.ok()) {
    status_ = stored.status();
    return {};
  }
  return stored->to(placement_.device, placement_.dtype);
}

}  // namespace splitft::model
