#include "libs/transport/tensor_codec.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"
#include "libs/base/target_clones.h"
#include "libs/transport/frame_codec.h"

namespace splitft::transport {
namespace {

using protocol::WireFormat;

constexpr size_t kLanes = 16;
using Words = uint32_t __attribute__((vector_size(4 * kLanes)));
using Halves = uint16_t __attribute__((vector_size(2 * kLanes)));

// Rounds to nearest, ties to even; NaN keeps its sign and stays quiet.
SPLITFT_TARGET_CLONES
void ConvertFp32ToBf16(const float* in, uint16_t* out, size_t vectors) {
  for (size_t i = 0; i < vectors; ++i) {
    Words bits;
    std::memcpy(&bits, in + i * kLanes, sizeof(bits));
    const Words rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
    const Words quiet = (bits >> 16) | 0x40U;
    const Words nan = reinterpret_cast<Words>((bits & 0x7FFFFFFFU) > 0x7F800000U);
    const Halves halves = __builtin_convertvector((quiet & nan) | (rounded & ~nan), Halves);
    std::memcpy(out + i * kLanes, &halves, sizeof(halves));
  }
}

SPLITFT_TARGET_CLONES
void ConvertBf16ToFp32(const uint16_t* in, float* out, size_t vectors) {
  for (size_t i = 0; i < vectors; ++i) {
    Halves halves;
    std::memcpy(&halves, in + i * kLanes, sizeof(halves));
    const Words bits = __builtin_convertvector(halves, Words) << 16;
    std::memcpy(out + i * kLanes, &bits, sizeof(bits));
  }
}

// Whole vectors in place, the rest by way of one vector: `convert(in, out, vectors)`.
template <typename In, typename Out>
void InVectors(std::span<const In> in, std::span<Out> out, void (*convert)(const In*, Out*, size_t)) {
  const size_t vectors = in.size() / kLanes;
  convert(in.data(), out.data(), vectors);
  const size_t done = vectors * kLanes;
  if (done < in.size()) {
    std::array<In, kLanes> last_in{};
    std::array<Out, kLanes> last_out{};
    std::copy(in.begin() + static_cast<ptrdiff_t>(done), in.end(), last_in.begin());
    convert(last_in.data(), last_out.data(), 1);
    std::copy_n(last_out.begin(), in.size() - done, out.begin() + static_cast<ptrdiff_t>(done));
  }
}

// Every format that numbers travel in, as a table: how many bytes an element takes, and the way from and to fp32.
struct Codec {
  WireFormat format;
  size_t element_bytes;
  void (*from_fp32)(std::span<const float> in, std::byte* out);
  void (*to_fp32)(const std::byte* in, std::span<float> out);
};

constexpr std::array kCodecs = {
    Codec{WireFormat::kFp32, sizeof(float),
          [](std::span<const float> in, std::byte* out) { std::memcpy(out, in.data(), in.size_bytes()); },
          [](const std::byte* in, std::span<float> out) { std::memcpy(out.data(), in, out.size_bytes()); }},
    Codec{WireFormat::kBf16, sizeof(uint16_t),
          [](std::span<const float> in, std::byte* out) {
            Fp32ToBf16(in, {reinterpret_cast<uint16_t*>(out), in.size()});
          },
          [](const std::byte* in, std::span<float> out) {
            Bf16ToFp32({reinterpret_cast<const uint16_t*>(in), out.size()}, out);
          }},
};

absl::StatusOr<const Codec*> FindCodec(WireFormat format) {
  const auto found = std::find_if(kCodecs.begin(), kCodecs.end(), [&](const Codec& c) { return c.format == format; });
  if (found == kCodecs.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("format is ", std::string(protocol::WireFormatName(format)), "; expected fp32 or bf16"));
  }
  return &*found;
}

absl::StatusOr<size_t> Elements(const Codec& codec, size_t bytes) {
  if (bytes % codec.element_bytes != 0) {
    return absl::InvalidArgumentError(absl::StrCat(bytes, " bytes are no whole number of ",
                                                   std::string(protocol::WireFormatName(codec.format)), " elements"));
  }
  return bytes / codec.element_bytes;
}

// Memory of a tensor begins at a multiple of its element, as kPayloadAlignment has it for payloads.
void Convert(const Codec& from, const std::byte* in, const Codec& to, std::byte* out, size_t elements) {
  static_assert(kCodecs.size() == 2, "a third format needs a way from bf16 by fp32");
  if (from.format == to.format) {
    std::memcpy(out, in, elements * from.element_bytes);
  } else if (from.format == WireFormat::kFp32) {
    to.from_fp32({reinterpret_cast<const float*>(in), elements}, out);
  } else {
    from.to_fp32(in, {reinterpret_cast<float*>(out), elements});
  }
}

}  // namespace

void Fp32ToBf16(std::span<const float> in, std::span<uint16_t> out) { InVectors(in, out, &ConvertFp32ToBf16); }
void Bf16ToFp32(std::span<const uint16_t> in, std::span<float> out) { InVectors(in, out, &ConvertBf16ToFp32); }

absl::StatusOr<protocol::Payload> EncodeTensor(const protocol::Payload& numbers, WireFormat numbers_format,
                                               WireFormat format) {
  SPLITFT_ASSIGN_OR_RETURN(const Codec* const from, FindCodec(numbers_format));
  SPLITFT_ASSIGN_OR_RETURN(const Codec* const to, FindCodec(format));
  SPLITFT_ASSIGN_OR_RETURN(const size_t elements, Elements(*from, numbers.bytes().size()));
  if (from == to || elements == 0) {
    return numbers;
  }
  const size_t bytes = elements * to->element_bytes;
  std::shared_ptr<std::byte> memory = NewPayloadMemory(bytes);
  Convert(*from, numbers.bytes().data(), *to, memory.get(), elements);
  const std::span<const std::byte> view(memory.get(), bytes);
  return protocol::Payload(std::move(memory), view);
}

absl::Status DecodeTensor(const protocol::Payload& payload, WireFormat format, std::span<std::byte> out,
                          WireFormat out_format) {
  SPLITFT_ASSIGN_OR_RETURN(const Codec* const from, FindCodec(format));
  SPLITFT_ASSIGN_OR_RETURN(const Codec* const to, FindCodec(out_format));
  SPLITFT_ASSIGN_OR_RETURN(const size_t elements, Elements(*from, payload.bytes().size()));
  if (out.size() != elements * to->element_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("memory of ", out.size(), " bytes for ", elements, " numbers of ",
                                                   std::string(protocol::WireFormatName(out_format)), "; expected ",
                                                   elements * to->element_bytes));
  }
  if (elements > 0) {
    Convert(*from, payload.bytes().data(), *to, out.data(), elements);
  }
  return absl::OkStatus();
}

}  // namespace splitft::transport
