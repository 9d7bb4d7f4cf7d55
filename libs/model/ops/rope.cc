#include "libs/model/ops/rope.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <numbers>

#include "libs/model/ops/cpu_kernel.h"

namespace splitft::model {
namespace {

// Llama 3's scaling (Hugging Face's `_compute_llama3_parameters`): long waves are slowed by `factor`, short ones kept,
// and those between are blended.
float ScaleLlama3(const RopeConfig& config, float frequency) {
  const auto original = static_cast<float>(config.original_max_positions);
  const auto low = static_cast<float>(config.low_frequency_factor);
  const auto high = static_cast<float>(config.high_frequency_factor);
  const auto factor = static_cast<float>(config.factor);
  const float wavelength = 2.0F * std::numbers::pi_v<float> / frequency;
  if (wavelength > original / low) {
    return frequency / factor;
  }
  if (wavelength < original / high) {
    return frequency;
  }
  const float smooth = (original / wavelength - low) / (high - low);
  return (1.0F - smooth) * frequency / factor + smooth * frequency;
}

}  // namespace

std::vector<float> RopeFrequencies(const RopeConfig& config, int64_t head_size) {
  std::vector<float> frequencies(static_cast<size_t>(head_size / 2));
  for (size_t s = 0; s < frequencies.size(); ++s) {
    const float exponent = static_cast<float>(2 * s) / static_cast<float>(head_size);
    float frequency = 1.0F / std::pow(static_cast<float>(config.theta), exponent);
    if (config.scaling == RopeConfig::Scaling::kLinear) {
      frequency /= static_cast<float>(config.factor);
    } else if (config.scaling == RopeConfig::Scaling::kLlama3) {
      frequency = ScaleLlama3(config, frequency);
    }
    frequencies[s] = frequency;
  }
  return frequencies;
}

Rope::Rope(const RopeConfig& config, int64_t head_size) : frequencies_(RopeFrequencies(config, head_size)) {
  constexpr int64_t kCommonPositions = 2048;
  common_table_TS_ = Table(kCommonPositions);
}

at::Tensor Rope::Table(int64_t positions) const {
  const size_t half = frequencies_.size();
  at::Tensor table_TS = at::empty({positions, static_cast<int64_t>(2 * half)}, at::kFloat);
  auto* row = table_TS.data_ptr<float>();
  for (int64_t position = 0; position < positions; ++position, row += 2 * half) {
    for (size_t s = 0; s < half; ++s) {
      const float angle = static_cast<float>(position) * frequencies_[s];
      row[s] = std::cos(angle);
      row[half + s] = std::sin(angle);
    }
  }
  return table_TS;
}

void Rope::Apply(const BatchLayout& layout, double direction, at::Tensor* x_NHS) const {
  const auto half = static_cast<int64_t>(frequencies_.size());
  const int64_t longest = layout.longest();
  const at::Tensor table_TS =
      longest <= common_table_TS_.size(0) ? common_table_TS_.narrow(0, 0, longest) : Table(longest);
  // Rounded to the tensor's type, then wide again.
  const at::Tensor rounded_TS =
      table_TS.to(x_NHS->options()).to(x_NHS->scalar_type() == at::kDouble ? at::kDouble : at::kFloat);
  if (HasCpuKernel(*x_NHS)) {
    ApplyCpu(layout, rounded_TS, static_cast<float>(direction), x_NHS);
    return;
  }
  const std::vector<int64_t> positions = Positions(layout);
  const at::Tensor index = at::tensor(positions, at::kLong).to(rounded_TS.device());
  const at::Tensor cos_sin = rounded_TS.index_select(0, index).unsqueeze(1);
  const at::Tensor cos = cos_sin.narrow(-1, 0, half);
  const at::Tensor sin = cos_sin.narrow(-1, half, half) * direction;
  const at::Tensor a = x_NHS->narrow(-1, 0, half).to(cos.scalar_type());
  const at::Tensor b = x_NHS->narrow(-1, half, half).to(cos.scalar_type());
  x_NHS->copy_(at::cat({a * cos - b * sin, b * cos + a * sin}, -1));
}

}  // namespace splitft::model
