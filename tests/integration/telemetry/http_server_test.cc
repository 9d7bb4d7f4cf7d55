// The server of probes and scrapes on a real socket, with peers that behave and peers that do not.

#include "libs/telemetry/http_server.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "absl/strings/str_cat.h"

namespace splitft::telemetry {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kProbe[] = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

// A connection to 127.0.0.1 that waits for at most 20 s.
class Peer {
 public:
  explicit Peer(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  void Send(std::string_view text) const {
    EXPECT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  // All that comes until the server ends the connection; "timeout" where it does not.
  std::string Receive() const {
    std::string all;
    char bytes[65536];
    for (;;) {
      const ssize_t got = ::recv(fd_.get(), bytes, sizeof(bytes), 0);
      if (got <= 0) {
        return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? "timeout" : all;
      }
      all.append(bytes, static_cast<size_t>(got));
    }
  }

 private:
  UniqueFd fd_;
};

std::unique_ptr<HttpServer> Serve(HttpServer::Options options = {.address = "127.0.0.1:0"}) {
  HttpPaths paths{{"/healthz", [] { return HttpAnswer{.body = "ok\n"}; }},
                  {"/large", [] { return HttpAnswer{.body = std::string(16 << 20, 'x')}; }}};
  auto server = HttpServer::Start(std::move(options), std::move(paths), SystemClock());
  EXPECT_TRUE(server.ok()) << server.status();
  return *std::move(server);
}

std::string Ask(int port, std::string_view request) {
  const Peer peer(port);
  peer.Send(request);
  return peer.Receive();
}

TEST(HttpServerOnASocket, AnswersAndEndsTheConnection) {
  const auto server = Serve();
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(Ask(server->port(), kProbe), EndsWith("\r\n\r\nok\n"));
  }
}

TEST(HttpServerOnASocket, TakesARequestInPieces) {
  const auto server = Serve();
  const Peer peer(server->port());
  for (const char* piece : {"GET /heal", "thz HTTP/1.1\r\nHost: a\r", "\n\r", "\n"}) {
    peer.Send(piece);
    SystemClock().SleepFor(milliseconds(5));
  }
  EXPECT_THAT(peer.Receive(), EndsWith("\r\n\r\nok\n"));
}

TEST(HttpServerOnASocket, ALargeAnswerArrivesWhole) {
  const auto server = Serve();
  EXPECT_GT(Ask(server->port(), "GET /large HTTP/1.1\r\n\r\n").size(), size_t{16} << 20);
}

TEST(HttpServerOnASocket, SilentAndSlowPeersHoldNobodyUpAndAreDropped) {
  const auto server = Serve({.address = "127.0.0.1:0", .patience = milliseconds(300)});
  const Peer silent(server->port());
  const Peer slow(server->port());
  slow.Send("GET /healthz HT");
  const Peer deaf(server->port());
  deaf.Send("GET /large HTTP/1.1\r\n\r\n");
  EXPECT_THAT(Ask(server->port(), kProbe), EndsWith("ok\n"));
  EXPECT_EQ(silent.Receive(), "");
  EXPECT_EQ(slow.Receive(), "");
  EXPECT_LT(deaf.Receive().size(), size_t{16} << 20);
}

TEST(HttpServerOnASocket, OfTooManyPeersTheOldestGivesWay) {
  const auto server = Serve({.address = "127.0.0.1:0", .patience = seconds(60), .connections = 2});
  const Peer first(server->port());
  const Peer second(server->port());
  EXPECT_THAT(Ask(server->port(), kProbe), EndsWith("ok\n"));
  EXPECT_EQ(first.Receive(), "");
  second.Send(kProbe);
  EXPECT_THAT(second.Receive(), EndsWith("ok\n"));
}

TEST(HttpServerOnASocket, ARequestHasALimit) {
  const auto server = Serve();
  EXPECT_THAT(Ask(server->port(), "GET /healthz HTTP/1.1\r\nX: " + std::string(9000, 'x')),
              StartsWith("HTTP/1.1 431 "));
}

TEST(HttpServerOnASocket, EndsWhileConnectionsAreOpen) {
  auto server = Serve();
  const Peer silent(server->port());
  EXPECT_THAT(Ask(server->port(), kProbe), EndsWith("ok\n"));
  server.reset();
  EXPECT_EQ(silent.Receive(), "");
}

TEST(HttpServerOnASocket, ListensByNameAndOnEveryInterface) {
  EXPECT_THAT(Ask(Serve({.address = ":0"})->port(), kProbe), EndsWith("ok\n"));
  EXPECT_THAT(Ask(Serve({.address = "localhost:0"})->port(), kProbe), EndsWith("ok\n"));
}

TEST(HttpServerOnASocket, AnAddressInUseIsRefused) {
  const auto server = Serve();
  const std::string address = absl::StrCat("127.0.0.1:", server->port());
  const auto second = HttpServer::Start({.address = address}, {}, SystemClock());
  EXPECT_TRUE(absl::IsUnavailable(second.status()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(absl::StrCat("cannot listen on \"", address, "\"")));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("in use"));
}

TEST(HttpServerOnASocket, WhatIsNoAddressIsRefused) {
  for (const char* address : {"", "8081", "host", "host:", "host:port", "host:65536", "host:-1", "::1:80"}) {
    const absl::Status status = HttpServer::Start({.address = address}, {}, SystemClock()).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << address;
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("\"", address, "\"")));
  }
}

}  // namespace
}  // namespace splitft::telemetry
