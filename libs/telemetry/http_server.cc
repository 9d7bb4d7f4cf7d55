#include "libs/telemetry/http_server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace splitft::telemetry {
namespace {

struct HostPort {
  std::string host;  // empty: every interface
  int port = 0;
};

absl::StatusOr<HostPort> ParseAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  HostPort parsed;
  std::string host = address.substr(0, colon);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  parsed.host = bracketed ? host.substr(1, host.size() - 2) : host;
  if (colon == std::string::npos || (parsed.host.find(':') != std::string::npos) != bracketed ||
      !absl::SimpleAtoi(address.substr(colon + 1), &parsed.port) || parsed.port < 0 || parsed.port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("\"", address, "\" is no HOST:PORT"));
  }
  return parsed;
}

// A socket that listens there; what stands in the way as errno.
absl::StatusOr<UniqueFd> ListenAt(const addrinfo& where) {
  UniqueFd fd(::socket(where.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;  // not SO_REUSEPORT, with which two processes would share the port and neither know
  if (!fd.valid() || ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      ::bind(fd.get(), where.ai_addr, where.ai_addrlen) != 0 || ::listen(fd.get(), SOMAXCONN) != 0) {
    return absl::UnavailableError(std::strerror(errno));
  }
  return fd;
}

absl::StatusOr<UniqueFd> Listen(const std::string& address) {
  SPLITFT_ASSIGN_OR_RETURN(const HostPort parsed, ParseAddress(address));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(parsed.host.empty() ? nullptr : parsed.host.c_str(),
                                   absl::StrCat(parsed.port).c_str(), &hints, &found);
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, &::freeaddrinfo);
  absl::StatusOr<UniqueFd> fd = absl::UnavailableError(failed != 0 ? ::gai_strerror(failed) : "no such host");
  for (const addrinfo* where = failed != 0 ? nullptr : found; where != nullptr && !fd.ok(); where = where->ai_next) {
    fd = ListenAt(*where);
  }
  if (!fd.ok()) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on \"", address, "\": ", std::string(fd.status().message())));
  }
  return fd;
}

int PortOf(const UniqueFd& fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

bool MustWait(ssize_t result) { return result < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR); }

}  // namespace

absl::StatusOr<std::unique_ptr<HttpServer>> HttpServer::Start(Options options, HttpPaths paths, const Clock& clock) {
  std::unique_ptr<HttpServer> server(new HttpServer(std::move(options), std::move(paths), clock));
  SPLITFT_ASSIGN_OR_RETURN(server->listener_, Listen(server->options_.address));
  server->port_ = PortOf(server->listener_);
  server->wake_up_ = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!server->wake_up_.valid()) {
    return ErrnoStatus(errno, "make", "eventfd");
  }
  server->thread_ = std::jthread([raw = server.get()](const std::stop_token& stop) { raw->Run(stop); });
  return server;
}

HttpServer::HttpServer(Options options, HttpPaths paths, const Clock& clock)
    : options_(std::move(options)), paths_(std::move(paths)), clock_(clock) {}

HttpServer::~HttpServer() {
  if (thread_.joinable()) {
    thread_.request_stop();
    ::eventfd_write(wake_up_.get(), 1);
    thread_.join();
  }
}

void HttpServer::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const std::vector<short> events = Poll(clock_.Now());
    const TimePoint now = clock_.Now();
    size_t i = 2;
    std::erase_if(connections_, [&](Connection& connection) {
      return (events[i++] != 0 && !Advance(connection)) || now >= connection.deadline;
    });
    if (events[0] != 0) {
      Accept(now);
    }
  }
}

std::vector<short> HttpServer::Poll(TimePoint now) const {
  std::vector<pollfd> polled{{.fd = listener_.get(), .events = POLLIN, .revents = 0},
                             {.fd = wake_up_.get(), .events = POLLIN, .revents = 0}};
  Duration wait = std::chrono::minutes(1);
  for (const Connection& connection : connections_) {
    const bool writes = connection.sent < connection.answer.size();
    polled.push_back(
        {.fd = connection.fd.get(), .events = static_cast<short>(writes ? POLLOUT : POLLIN), .revents = 0});
    wait = std::min(wait, std::max(connection.deadline - now, Duration::zero()));
  }
  const auto whole = std::chrono::ceil<std::chrono::milliseconds>(wait);
  ::poll(polled.data(), polled.size(), static_cast<int>(whole.count()));
  std::vector<short> events(polled.size());
  std::transform(polled.begin(), polled.end(), events.begin(), [](const pollfd& one) { return one.revents; });
  return events;
}

void HttpServer::Accept(TimePoint now) {
  UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd.valid() && !MustWait(-1)) {
    clock_.SleepFor(std::chrono::milliseconds(10));  // out of descriptors: others may give some back
  }
  if (!connections_.empty() && (!fd.valid() || connections_.size() >= options_.connections)) {
    connections_.erase(connections_.begin());
  }
  if (fd.valid()) {
    connections_.push_back({.fd = std::move(fd), .deadline = now + options_.patience, .request = {}, .answer = {}});
  }
}

bool HttpServer::Advance(Connection& connection) const {
  if (connection.sent == connection.answer.size() && !Read(connection)) {
    return false;
  }
  return connection.sent == connection.answer.size() || Write(connection);
}

// After the answer, whatever still comes is dropped until the peer has closed: closing first could reset the connection
// before the peer has read the answer.
bool HttpServer::Read(Connection& connection) const {
  std::array<char, 4096> bytes;
  const ssize_t got = ::recv(connection.fd.get(), bytes.data(), bytes.size(), 0);
  if (got <= 0) {
    return MustWait(got);
  }
  if (!connection.answer.empty()) {
    return true;
  }
  connection.request.append(bytes.data(), static_cast<size_t>(got));
  if (const size_t end = connection.request.find("\r\n\r\n"); end != std::string::npos) {
    connection.answer = AnswerTo(std::string_view(connection.request).substr(0, end), paths_);
  } else if (connection.request.size() > options_.request_limit_bytes) {
    connection.answer = FormatAnswer({.status = 431, .body = "the request is too long\n"});
  }
  return true;
}

bool HttpServer::Write(Connection& connection) {
  const ssize_t sent = ::send(connection.fd.get(), connection.answer.data() + connection.sent,
                              connection.answer.size() - connection.sent, MSG_NOSIGNAL);
  if (sent < 0) {
    return MustWait(sent);
  }
  connection.sent += static_cast<size_t>(sent);
  if (connection.sent == connection.answer.size()) {
    ::shutdown(connection.fd.get(), SHUT_WR);
  }
  return true;
}

}  // namespace splitft::telemetry
