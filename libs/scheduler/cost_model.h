#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "libs/spec/job.h"

// What a step costs, as a function of the clients' cuts and codecs, and of microbatches. docs/scheduling.md derives the
// formulas.
namespace splitft::scheduler {

// What the wire between a client and the aggregator carries. A bandwidth of 0 is unknown: too high to be felt.
struct Link {
  double up_bytes_per_second = 0;
  double down_bytes_per_second = 0;
  double round_trip_seconds = 0;

  bool operator==(const Link&) const = default;
};

// One client's part of a step, over its whole batch.
struct ClientCost {
  double forward_seconds = 0;   // of one block
  double backward_seconds = 0;  // of one block
  double tail_seconds = 0;      // with the labels on the server: 0
  int64_t tokens = 0;           // rows of its hidden states
  double throttled = 0;         // share of a step that a CPU quota holds it back; it is in the seconds already
  Link link;
  int lowest_cut = 1;   // what the job's privacy floor
  int highest_cut = 1;  // and the client's memory allow
};

// The aggregator's part, of one token and one block of the trunk; it computes for all clients, one after the other.
struct ServerCost {
  double forward_seconds = 0;
  double backward_seconds = 0;
  double other_seconds = 0;  // of a step: the optimizer, the figures
};

struct Fleet {
  std::vector<ClientCost> clients;
  ServerCost server;
  int trunk_end = 1;  // one past the trunk's last block: a client with cut k leaves it trunk_end - k blocks
  int64_t hidden_size = 1;
  int64_t adapter_bytes = 0;  // of one block, as they travel
  int smallest_batch = 1;     // sequences
  int most_microbatches = 1;  // at most as many
  bool server_labels = false;
  bool client_gradients = true;
};

// What one client is told.
struct Choice {
  int cut_layer = 1;
  spec::Codec codec = spec::Codec::kFp32;

  bool operator==(const Choice&) const = default;
};

// How a step is run: what each client is told, in the job's order, and in how many parts all divide their batches.
struct Arrangement {
  std::vector<Choice> clients;
  int microbatches = 1;

  bool operator==(const Arrangement&) const = default;
};

// Bytes of a token's hidden state, or of its gradient, on the wire.
double RowBytes(spec::Codec codec, int64_t hidden_size);

// One client's stages of a step, in seconds, each with what it waits for on the wire: what comes once per microbatch
// however small that is (`fixed`), and the sum over the microbatches.
struct Stage {
  double fixed = 0;
  double batch = 0;
};
struct ClientStages {
  Stage up;            // adapters down, head forward, hidden state up
  Stage tail;          // hidden state down, tail, gradient up
  Stage back;          // gradient down, head backward, adapters' gradient up
  double compute = 0;  // what its processor does in all
  double uplink = 0;   // how long its rows take
  double downlink = 0;
};
ClientStages StagesOf(const Fleet& fleet, const ClientCost& client, const Choice& choice);

struct Prediction {
  double seconds = 0;         // of a step
  double server_seconds = 0;  // of the aggregator's processor
};
// A step's makespan. Every stage of a microbatch needs every client's; with M microbatches the stages overlap, and the
// busiest of the processors and links bounds them: sum of stages / M + (M - 1) / M * busiest. The more microbatches,
// the shorter: what each costs beside its share the model does not know.
// `arrangement` has a choice for every client.
Prediction Predict(const Fleet& fleet, const Arrangement& arrangement);

}  // namespace splitft::scheduler
