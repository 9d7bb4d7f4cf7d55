#include "tests/support/cuttable_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace splitft {
namespace {

constexpr int kPollMilliseconds = 10;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

bool WriteAll(int fd, const char* bytes, ssize_t size) {
  while (size > 0) {
    const ssize_t written = ::send(fd, bytes, static_cast<size_t>(size), MSG_NOSIGNAL);
    if (written < 0) {
      return false;
    }
    bytes += written;
    size -= written;
  }
  return true;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CuttableProxy>> CuttableProxy::Start(int target_port) {
  std::unique_ptr<CuttableProxy> proxy(new CuttableProxy(target_port));
  proxy->listener_ = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  if (::bind(proxy->listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(proxy->listener_.get(), 16) != 0 ||
      ::getsockname(proxy->listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return ErrnoStatus(errno, "listen on", "127.0.0.1:0");
  }
  proxy->port_ = ntohs(address.sin_port);
  proxy->thread_ = std::jthread([raw = proxy.get()](const std::stop_token& stop) { raw->Run(stop); });
  return proxy;
}

CuttableProxy::~CuttableProxy() {
  thread_.request_stop();
  thread_.join();
}

void CuttableProxy::Cut() {
  const MutexLock lock(mutex_);
  for (Connection& connection : connections_) {
    const linger reset{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(connection.client.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    ::setsockopt(connection.server.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  }
  connections_.clear();
}

std::string CuttableProxy::Seen() const {
  const MutexLock lock(mutex_);
  return seen_;
}

void CuttableProxy::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::vector<pollfd> polled = {{.fd = listener_.get(), .events = POLLIN, .revents = 0}};
    {
      const MutexLock lock(mutex_);
      for (const Connection& connection : connections_) {
        polled.push_back({.fd = connection.client.get(), .events = POLLIN, .revents = 0});
        polled.push_back({.fd = connection.server.get(), .events = POLLIN, .revents = 0});
      }
    }
    if (frozen_) {
      polled.resize(1);
    }
    if (::poll(polled.data(), polled.size(), kPollMilliseconds) <= 0) {
      continue;
    }
    const MutexLock lock(mutex_);
    for (size_t i = 1; i + 1 < polled.size() && (i + 1) / 2 <= connections_.size(); i += 2) {
      Connection& connection = connections_[(i - 1) / 2];
      const bool same = connection.client.get() == polled[i].fd && connection.server.get() == polled[i + 1].fd;
      if (same && !(Forward(connection.client, connection.server, polled[i].revents) &&
                    Forward(connection.server, connection.client, polled[i + 1].revents))) {
        connection = {};  // both descriptors close; poll ignores them from now on
      }
    }
    if (polled[0].revents != 0) {
      UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      UniqueFd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const sockaddr_in address = Loopback(target_port_);
      if (client.valid() &&
          ::connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
        connections_.push_back({std::move(client), std::move(server)});
      }
    }
  }
}

bool CuttableProxy::Forward(const UniqueFd& from, const UniqueFd& to, short events) {
  if (events == 0) {
    return true;
  }
  std::array<char, 65536> bytes;
  const ssize_t got = ::recv(from.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (got < 0) {
    return errno == EAGAIN || errno == EWOULDBLOCK;
  }
  if (got > 0) {
    seen_.append(bytes.data(), static_cast<size_t>(got));
  }
  return got > 0 && WriteAll(to.get(), bytes.data(), got);
}

}  // namespace splitft
