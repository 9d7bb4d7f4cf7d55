#include "libs/model/weights.h"

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace splitft::model {

at::Tensor WeightReader::Read(const std::string& name, const std::vector<int64_t>& shape) {
  const at::Tensor stored = ReadAsStored(name, shape);
  return stored.defined() ? stored.to(placement_.dtype) : stored;
}

at::Tensor WeightReader::ReadAsStored(const std::string& name, const std::vector<int64_t>& shape) {
  if (!status_.ok()) {
    return {};
  }
  const absl::StatusOr<at::Tensor> stored =
      directory_.Tensor(prefix_.empty() ? name : absl::StrCat(prefix_, ".", name), shape);
  if (!stored.ok()) {
    status_ = stored.status();
    return {};
  }
  return stored->to(placement_.device);
}

}  // namespace splitft::model
