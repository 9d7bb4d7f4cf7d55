#pragma once

#include <algorithm>
#include <cstdint>

#include "libs/base/random.h"
#include "libs/scheduler/cost_model.h"

// Fleets for tests of the scheduler.
namespace splitft {

// A fleet of `clients` on a model of `blocks` blocks: processors, links, batches and limits at random, over the ranges
// that machines have.
inline scheduler::Fleet RandomFleet(uint64_t seed, int clients, int blocks) {
  const RandomStream stream({.seed = seed});
  uint64_t drawn = 0;
  const auto uniform = [&](double low, double high) { return low + (high - low) * stream.UniformDouble(drawn++); };
  const auto below = [&](uint64_t bound) { return static_cast<int>(stream.Below(drawn++, bound)); };
  const auto one_of = [&](auto... values) {
    const double all[] = {static_cast<double>(values)...};
    return all[below(sizeof...(values))];
  };
  scheduler::Fleet fleet{.clients = {},
                         .server = {.forward_seconds = uniform(1e-6, 2e-5),
                                    .backward_seconds = uniform(1e-6, 4e-5),
                                    .other_seconds = uniform(0, 0.05)},
                         .trunk_end = blocks,
                         .hidden_size = 768,
                         .adapter_bytes = 100'000,
                         .smallest_batch = 12,
                         .most_microbatches = static_cast<int>(one_of(1, 1, 2, 4)),
                         .server_labels = below(4) == 0,
                         .client_gradients = true};
  for (int i = 0; i < clients; ++i) {
    const int64_t tokens = static_cast<int64_t>(one_of(128, 512, 1024));
    const double forward = static_cast<double>(tokens) * uniform(2e-6, 2e-4);
    const int lowest = static_cast<int>(one_of(1, 1, 2));
    fleet.clients.push_back(
        {.forward_seconds = forward,
         .backward_seconds = forward * uniform(1.2, 2.5),
         .tail_seconds = fleet.server_labels ? 0 : static_cast<double>(tokens) * uniform(1e-5, 4e-4),
         .tokens = tokens,
         .link = {.up_bytes_per_second = one_of(0, 6e5, 2.5e6, 1.25e7, 1.25e8),
                  .down_bytes_per_second = one_of(0, 6e5, 2.5e6, 1.25e7, 1.25e8),
                  .round_trip_seconds = one_of(0, 1e-3, 0.05)},
         .lowest_cut = lowest,
         .highest_cut = lowest + below(static_cast<uint64_t>(blocks))});
    fleet.clients.back().highest_cut = std::min(fleet.clients.back().highest_cut, blocks);
  }
  return fleet;
}

}  // namespace splitft
