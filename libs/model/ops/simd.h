#pragma once

#include <c10/util/BFloat16.h>

#include <bit>
#include <cstdint>
#include <cstring>

// Sixteen fp32 lanes for the CPU kernels of this folder, in GCC's vector extension: no intrinsics, one source for every
// instruction set. A kernel is a function template marked SPLITFT_SIMD_CLONES; everything it calls here is inlined into
// each of its clones. All arithmetic is fp32; bf16 is converted on the way in and rounded to nearest even on the way
// out. Include it from *_cpu.cc only.

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define SPLITFT_SIMD_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define SPLITFT_SIMD_CLONES  // sanitizers cannot run the resolver that picks a clone
#endif
#define SPLITFT_SIMD_INLINE __attribute__((always_inline)) inline

// Nothing here is called across a translation unit, so there is no ABI to keep.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace splitft::model::simd {

using Lanes = float __attribute__((vector_size(64)));
using Words = uint32_t __attribute__((vector_size(64)));
using Halves = uint16_t __attribute__((vector_size(32)));
inline constexpr int64_t kLanes = 16;

SPLITFT_SIMD_INLINE Lanes Splat(float x) { return Lanes{} + x; }

SPLITFT_SIMD_INLINE Lanes Widen(Halves h) { return std::bit_cast<Lanes>(__builtin_convertvector(h, Words) << 16); }

// Round to nearest even; a NaN stays one.
SPLITFT_SIMD_INLINE Halves Narrow(Lanes x) {
  const Words bits = std::bit_cast<Words>(x);
  const Words rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  const Words is_nan = std::bit_cast<Words>(x != x);  // NOLINT(misc-redundant-expression)
  return __builtin_convertvector((rounded & ~is_nan) | (is_nan & 0x7FC0U), Halves);
}

SPLITFT_SIMD_INLINE Lanes Load(const float* p) {
  Lanes x;
  std::memcpy(&x, p, sizeof x);
  return x;
}
SPLITFT_SIMD_INLINE Lanes Load(const c10::BFloat16* p) {
  Halves h;
  std::memcpy(&h, p, sizeof h);
  return Widen(h);
}
SPLITFT_SIMD_INLINE void Store(float* p, Lanes x) { std::memcpy(p, &x, sizeof x); }
SPLITFT_SIMD_INLINE void Store(c10::BFloat16* p, Lanes x) {
  const Halves h = Narrow(x);
  std::memcpy(p, &h, sizeof h);
}

// The first `count` < kLanes elements; the other lanes are zero.
template <typename T>
SPLITFT_SIMD_INLINE Lanes LoadPart(const T* p, int64_t count) {
  T buffer[kLanes] = {};
  for (int64_t i = 0; i < count; ++i) {
    buffer[i] = p[i];
  }
  return Load(buffer);
}
template <typename T>
SPLITFT_SIMD_INLINE void StorePart(T* p, Lanes x, int64_t count) {
  T buffer[kLanes];
  Store(buffer, x);
  for (int64_t i = 0; i < count; ++i) {
    p[i] = buffer[i];
  }
}

// `x` as it would be after a store and a load.
SPLITFT_SIMD_INLINE Lanes RoundAs(const float*, Lanes x) { return x; }
SPLITFT_SIMD_INLINE Lanes RoundAs(const c10::BFloat16*, Lanes x) { return Widen(Narrow(x)); }

// Sums by a fixed tree, so that the order does not depend on the instruction set.
SPLITFT_SIMD_INLINE float Sum(Lanes x) {
  float lane[kLanes];
  Store(lane, x);
  for (int64_t width = kLanes / 2; width > 0; width /= 2) {
    for (int64_t i = 0; i < width; ++i) {
      lane[i] += lane[i + width];
    }
  }
  return lane[0];
}

SPLITFT_SIMD_INLINE Lanes Max(Lanes a, Lanes b) { return a > b ? a : b; }
SPLITFT_SIMD_INLINE float Max(Lanes x) {
  float lane[kLanes];
  Store(lane, x);
  float most = lane[0];
  for (int64_t i = 1; i < kLanes; ++i) {
    most = lane[i] > most ? lane[i] : most;
  }
  return most;
}

// e^x within 2 ulp (Cephes' expf: 2^n times a polynomial on [-ln2/2, ln2/2]); 0 below -87.3, e^88.3 above 88.3, NaN for
// NaN.
SPLITFT_SIMD_INLINE Lanes Exp(Lanes x) {
  constexpr float kLog2E = 1.44269504088896341F;
  constexpr float kLn2High = 0.693359375F;
  constexpr float kLn2Low = -2.12194440e-4F;
  constexpr float kRound = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer, which lands in the low bits
  const Lanes high = Splat(88.3F);
  const Lanes clamped = x > high ? high : x;
  const Lanes shifted = clamped * kLog2E + kRound;
  const Lanes n = shifted - kRound;
  const Lanes r = clamped - n * kLn2High - n * kLn2Low;
  Lanes p = Splat(1.9875691500e-4F);
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  p = p * r * r + r + 1.0F;
  const Lanes scaled = std::bit_cast<Lanes>(std::bit_cast<Words>(p) + (std::bit_cast<Words>(shifted) << 23));
  return x < Splat(-87.3F) ? Lanes{} : scaled;
}

SPLITFT_SIMD_INLINE Lanes Sigmoid(Lanes x) { return 1.0F / (1.0F + Exp(-x)); }

// i = 0, 16, ... below `size`.
#define SPLITFT_SIMD_FOR(i, size) for (int64_t i = 0; i < (size); i += ::splitft::model::simd::kLanes)

// Loads or stores lanes i .. min(i + 16, size).
template <typename T>
SPLITFT_SIMD_INLINE Lanes LoadAt(const T* p, int64_t i, int64_t size) {
  return size - i >= kLanes ? Load(p + i) : LoadPart(p + i, size - i);
}
template <typename T>
SPLITFT_SIMD_INLINE void StoreAt(T* p, int64_t i, int64_t size, Lanes x) {
  if (size - i >= kLanes) {
    Store(p + i, x);
  } else {
    StorePart(p + i, x, size - i);
  }
}

}  // namespace splitft::model::simd
