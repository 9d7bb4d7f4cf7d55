#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/protocol/ports.h"
#include "tests/support/sim_clock.h"

namespace splitft {

// protocol's ports over a simulated network: frames take a random time, and may be duplicated, reordered or lost with
// their stream. Everything is drawn from the seed. Used by the threads of a SimClock.
class SimNet {
 public:
  struct Options {
    uint64_t seed = 0;
    Duration min_delay = std::chrono::microseconds(100);
    Duration max_delay = std::chrono::milliseconds(20);
    double duplicate = 0;          // probability that a frame arrives twice
    bool reorder_streams = false;  // frames of one stream overtake each other, which gRPC's do not
    // The stream of the network's n-th sent frame (from 1, both directions) breaks at that frame, which is lost. 0:
    // never.
    int64_t cut_at_send = 0;
    size_t up_frames = 16;  // of one stream on their way or not taken; Send waits beyond that
  };

  // `clock` outlives the network.
  SimNet(const Options& options, SimClock& clock);
  ~SimNet();

  protocol::FrameServer& server();
  // Unavailable: the server was shut down.
  absl::StatusOr<std::unique_ptr<protocol::FrameStream>> Connect(std::string peer);

  // Frames sent so far, in both directions: how far cut_at_send may reach.
  int64_t sends() const;
  bool was_cut() const;

 private:
  class State;
  class Server;
  class Stream;
  std::shared_ptr<State> state_;
  std::unique_ptr<Server> server_;
};

}  // namespace splitft
