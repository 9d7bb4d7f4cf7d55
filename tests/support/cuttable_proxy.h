#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "libs/base/file.h"
#include "libs/base/mutex.h"

namespace splitft {

// A TCP proxy on loopback that can hurt the connections through it, as networks do. Thread-safe.
class CuttableProxy {
 public:
  // Listens on a free port and forwards each connection to 127.0.0.1:`target_port`.
  static absl::StatusOr<std::unique_ptr<CuttableProxy>> Start(int target_port);
  ~CuttableProxy();

  int port() const { return port_; }
  // Closes every connection with a reset, as a killed process' kernel does.
  void Cut();
  // Forwards nothing from now on and says nothing: a cable pulled.
  void Freeze() { frozen_ = true; }
  // Every byte that crossed so far, both ways, in the order it was forwarded.
  std::string Seen() const;

 private:
  struct Connection {
    UniqueFd client;
    UniqueFd server;
  };
  explicit CuttableProxy(int target_port) : target_port_(target_port) {}
  void Run(const std::stop_token& stop);
  // False: the connection is over.
  bool Forward(const UniqueFd& from, const UniqueFd& to, short events) SPLITFT_REQUIRES(mutex_);

  const int target_port_;
  int port_ = 0;
  UniqueFd listener_;
  std::atomic<bool> frozen_ = false;
  mutable Mutex mutex_;
  std::string seen_ SPLITFT_GUARDED_BY(mutex_);
  std::vector<Connection> connections_ SPLITFT_GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace splitft
