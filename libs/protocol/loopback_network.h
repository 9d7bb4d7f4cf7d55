#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "libs/protocol/ports.h"

namespace splitft::protocol {

// The ports of ports.h inside one process: frames are handed over as they are, payloads are shared, nothing is copied.
// Training in one process runs on it, and benches measure the real network against it. Thread-safe.
class LoopbackNetwork {
 public:
  struct Options {
    size_t up_frames = 16;     // of one stream that the server has not taken; a client's Send waits beyond that
    size_t down_frames = 256;  // of one stream that the client has not taken; the server's Send fails beyond that
    size_t max_streams = 1024;
  };

  LoopbackNetwork();
  explicit LoopbackNetwork(const Options& options);
  // Shuts the server down. Streams may outlive the network; they answer Unavailable from then on.
  ~LoopbackNetwork();

  // The aggregator's end; lives as long as the network.
  FrameServer& server();

  // A new stream, at once open. `peer` is what StreamOpened names. Unavailable: the server was shut down;
  // ResourceExhausted: max_streams are open.
  absl::StatusOr<std::unique_ptr<FrameStream>> Connect(std::string peer);

 private:
  class Link;
  class Server;
  class Stream;
  std::unique_ptr<Server> server_;
};

}  // namespace splitft::protocol
