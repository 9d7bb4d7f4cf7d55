#include "libs/base/random.h"

#include <numeric>
#include <utility>

namespace splitft {
namespace {

// SplitMix64's finaliser (Steele, Lea, Flood, OOPSLA 2014): spreads the key's fields over all bits.
uint64_t Mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

uint32_t Low(uint64_t x) { return static_cast<uint32_t>(x); }
uint32_t High(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

}  // namespace

std::array<uint32_t, 4> Philox(const std::array<uint32_t, 4>& counter, const std::array<uint32_t, 2>& key) {
  auto [c0, c1, c2, c3] = counter;
  auto [k0, k1] = key;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = 0xD2511F53ULL * c0;
    const uint64_t p1 = 0xCD9E8D57ULL * c2;
    c0 = High(p1) ^ c1 ^ k0;
    c1 = Low(p1);
    c2 = High(p0) ^ c3 ^ k1;
    c3 = Low(p0);
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return {c0, c1, c2, c3};
}

uint64_t HashName(std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325ULL;
  for (const char c : name) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
  }
  return hash;
}

RandomStream::RandomStream(const RandomKey& key) {
  uint64_t a = Mix(key.seed);
  a = Mix(a ^ static_cast<uint64_t>(key.purpose));
  a = Mix(a ^ key.client);
  uint64_t b = Mix(a ^ key.step);
  b = Mix(b ^ key.block);
  key_ = {Low(b), High(b)};
  const uint64_t salt = Mix(b ^ a);
  salt_ = {Low(salt), High(salt)};
}

std::array<uint32_t, 4> RandomStream::Group(uint64_t group) const {
  return Philox({Low(group), High(group), salt_[0], salt_[1]}, key_);
}

uint32_t RandomStream::Bits(uint64_t index) const { return Group(index / 4)[index % 4]; }

float RandomStream::Uniform(uint64_t index) const { return static_cast<float>(Bits(index) >> 8) * 0x1.0p-24F; }

double RandomStream::UniformDouble(uint64_t index) const {
  const uint64_t bits = (static_cast<uint64_t>(Bits(2 * index)) << 32) | Bits(2 * index + 1);
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

uint64_t RandomStream::Below(uint64_t index, uint64_t bound) const {
  const uint64_t bits = (static_cast<uint64_t>(Bits(2 * index)) << 32) | Bits(2 * index + 1);
  __extension__ using Wide = unsigned __int128;
  return static_cast<uint64_t>((static_cast<Wide>(bits) * bound) >> 64);
}

std::vector<int64_t> RandomStream::Permutation(int64_t size) const {
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  for (int64_t i = size - 1; i > 0; --i) {
    const auto j = static_cast<int64_t>(Below(static_cast<uint64_t>(i), static_cast<uint64_t>(i) + 1));
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(j)]);
  }
  return order;
}

}  // namespace splitft
