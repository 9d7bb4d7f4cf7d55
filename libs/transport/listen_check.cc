#include "libs/transport/listen_check.h"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/file.h"
#include "libs/base/status_macros.h"

namespace splitft::transport {
namespace {

constexpr std::string_view kUnixScheme = "unix:";

absl::Status CannotListen(const std::string& address, const std::string& reason) {
  return absl::UnavailableError(absl::StrCat("cannot listen on \"", address, "\": ", reason));
}

// 0, or why nobody can listen there.
int TryListen(const sockaddr* address, socklen_t size, int family) {
  const UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    return errno;
  }
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  return ::bind(fd.get(), address, size) == 0 && ::listen(fd.get(), 1) == 0 ? 0 : errno;
}

// Whether a process of this machine listens on the socket at `path`. The kernel is asked, not the socket: a connection
// that ends as soon as it began would reach whoever listens.
bool IsListening(const std::string& path) {
  std::ifstream sockets("/proc/net/unix");
  constexpr unsigned kAcceptsConnections = 0x10000;  // __SO_ACCEPTCON of linux/net.h
  for (std::string line; std::getline(sockets, line);) {
    // Num RefCount Protocol Flags Type St Inode Path
    std::istringstream fields(line);
    std::string skipped;
    std::string found;
    unsigned flags = 0;
    if (fields >> skipped >> skipped >> skipped >> std::hex >> flags >> skipped >> skipped >> skipped >> std::ws &&
        std::getline(fields, found) && found == path && (flags & kAcceptsConnections) != 0) {
      return true;
    }
  }
  return false;
}

// A socket left behind by a dead process is gRPC's to remove; one that somebody listens on is in use.
absl::Status CheckUnixPath(const std::string& address) {
  const std::string path = address.substr(kUnixScheme.size());
  constexpr size_t kMaxPathBytes = sizeof(sockaddr_un::sun_path) - 1;
  if (path.empty() || path.size() > kMaxPathBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address, "\" has a path of ", path.size(), " bytes; expected 1 to ", kMaxPathBytes));
  }
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder)) {
    return CannotListen(address, absl::StrCat("\"", folder.string(), "\" is no folder"));
  }
  return IsListening(path) ? CannotListen(address, std::strerror(EADDRINUSE)) : absl::OkStatus();
}

}  // namespace

absl::StatusOr<HostPort> ParseHostPort(std::string_view address) {
  const size_t colon = address.rfind(':');
  const bool bracketed =
      colon != std::string_view::npos && colon >= 2 && address.front() == '[' && address[colon - 1] == ']';
  HostPort parsed;
  if (colon != std::string_view::npos) {
    parsed.host = std::string(bracketed ? address.substr(1, colon - 2) : address.substr(0, colon));
  }
  const bool v6 = parsed.host.find(':') != std::string::npos;
  if (parsed.host.empty() || v6 != bracketed ||
      !absl::SimpleAtoi(std::string(address.substr(colon + 1)), &parsed.port) || parsed.port < 0 ||
      parsed.port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", std::string(address), "\" is no address; expected host:port, [v6]:port or unix:/path"));
  }
  return parsed;
}

absl::Status CheckListenAddress(const std::string& address) {
  if (address.rfind(kUnixScheme, 0) == 0) {
    return CheckUnixPath(address);
  }
  SPLITFT_ASSIGN_OR_RETURN(const HostPort parsed, ParseHostPort(address));
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int failure = ::getaddrinfo(parsed.host.c_str(), std::to_string(parsed.port).c_str(), &hints, &found);
  if (failure != 0) {
    return CannotListen(address, ::gai_strerror(failure));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  // One of a name's several addresses is enough, unless somebody else has another of them.
  bool usable = false;
  int reason = EADDRNOTAVAIL;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    const int error = TryListen(entry->ai_addr, entry->ai_addrlen, entry->ai_family);
    if (error == EADDRINUSE) {
      return CannotListen(address, std::strerror(error));
    }
    usable = usable || error == 0;
    reason = error != 0 ? error : reason;
  }
  return usable ? absl::OkStatus() : CannotListen(address, std::strerror(reason));
}

}  // namespace splitft::transport
