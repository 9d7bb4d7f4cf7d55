#include "libs/kube/http_connection.h"

#include <httplib.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace splitft::kube {
namespace {

using X509Ptr = std::unique_ptr<X509, decltype(&X509_free)>;
using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;

BioPtr Reader(const std::string& pem) { return {BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &BIO_free}; }

struct ClientCertificate {
  X509Ptr certificate{nullptr, &X509_free};
  KeyPtr key{nullptr, &EVP_PKEY_free};
};

absl::StatusOr<ClientCertificate> ParseCertificate(const Credential& credential) {
  ClientCertificate parsed;
  if (credential.certificate_pem.empty()) {
    return parsed;
  }
  parsed.certificate.reset(PEM_read_bio_X509(Reader(credential.certificate_pem).get(), nullptr, nullptr, nullptr));
  if (parsed.certificate == nullptr) {
    return absl::InvalidArgumentError("the client certificate is no PEM certificate");
  }
  // Without a callback OpenSSL would ask for a passphrase on the terminal.
  const auto no_passphrase = [](char*, int, int, void*) { return 0; };
  parsed.key.reset(PEM_read_bio_PrivateKey(Reader(credential.key_pem).get(), nullptr, no_passphrase, nullptr));
  if (parsed.key == nullptr) {
    return absl::InvalidArgumentError("the client key is no PEM private key, or has a passphrase");
  }
  return parsed;
}

// OpenSSL writes to sockets that may have been shut, and a program that uses this library need not expect the signal.
// Keeps it from this thread, and takes away what came meanwhile.
class WithoutSigpipe {
 public:
  WithoutSigpipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  ~WithoutSigpipe() {
    const timespec at_once{};
    if (!was_pending_) {
      while (::sigtimedwait(&pipe_, nullptr, &at_once) == SIGPIPE) {
      }
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t pipe_;
  sigset_t before_;
  bool was_pending_ = false;
};

absl::Status ToStatus(httplib::Error error, const std::string& server) {
  const std::string what = httplib::to_string(error);
  switch (error) {
    case httplib::Error::SSLServerVerification:
      return absl::UnavailableError(
          absl::StrCat(server, " shows a certificate that its authorities do not vouch for, or for another name"));
    case httplib::Error::Connection:
    case httplib::Error::ConnectionTimeout:
      return absl::UnavailableError(absl::StrCat("no connection to ", server));
    default:
      return absl::UnavailableError(absl::StrCat("the connection to ", server, " broke: ", what));
  }
}

class HttplibConnection final : public HttpConnection {
 public:
  HttplibConnection(Options options, std::unique_ptr<httplib::ClientImpl> client)
      : options_(std::move(options)),
        server_(absl::StrCat(options_.address.host, ":", options_.address.port)),
        client_(std::move(client)) {
    client_->set_keep_alive(true);
    client_->set_tcp_nodelay(true);
    client_->set_url_encode(false);  // targets are encoded already
    client_->set_follow_location(false);
    client_->set_socket_options([this](int socket) {
      // Whoever asked to stop before there was a socket: stop() found nothing to shut.
      if (stop_.stop_requested()) {
        ::shutdown(socket, SHUT_RDWR);
      }
    });
  }

  absl::Status Exchange(const Request& request, const std::string& token, Duration idle_limit, std::stop_token stop,
                        const Receiver& receiver) override {
    if (stop.stop_requested()) {
      return absl::CancelledError("asked to stop");
    }
    const WithoutSigpipe quiet;
    stop_ = stop;
    const std::stop_callback on_stop(stop, [this] { client_->stop(); });
    client_->set_connection_timeout(std::min(options_.connect_timeout, idle_limit));
    client_->set_read_timeout(std::chrono::duration_cast<std::chrono::microseconds>(idle_limit));
    client_->set_write_timeout(std::chrono::duration_cast<std::chrono::microseconds>(idle_limit));
    absl::Status status;
    httplib::Request outgoing = Translate(request, token);
    outgoing.response_handler = [&](const httplib::Response& head) {
      status = receiver.on_head({.status = head.status, .retry_after = head.get_header_value("Retry-After")});
      return status.ok();
    };
    outgoing.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
      status = stop.stop_requested() ? absl::CancelledError("asked to stop") : receiver.on_bytes({data, size});
      return status.ok();
    };
    httplib::Response answer;
    httplib::Error error = httplib::Error::Success;
    const bool whole = client_->send(outgoing, answer, error);
    if (stop.stop_requested()) {
      return absl::CancelledError("asked to stop");
    }
    if (!status.ok() || whole) {
      return status;
    }
    return ToStatus(error, server_);
  }

 private:
  httplib::Request Translate(const Request& request, const std::string& token) const {
    httplib::Request outgoing;
    outgoing.method = std::string(MethodName(request.method));
    outgoing.path = options_.address.path_prefix + request.target;
    // A server that does not know the first answers with the second.
    outgoing.headers = {{"Accept", request.metadata_only
                                       ? "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
                                       : "application/json"},
                        // Packed answers cost both sides more time than they save on a cluster's own network.
                        {"Accept-Encoding", "identity"},
                        {"User-Agent", options_.user_agent}};
    if (!token.empty()) {
      outgoing.headers.emplace("Authorization", absl::StrCat("Bearer ", token));
    }
    if (!request.body.empty()) {
      outgoing.headers.emplace("Content-Type", request.content_type);
      outgoing.body = request.body;
    }
    return outgoing;
  }

  const Options options_;
  const std::string server_;
  std::stop_token stop_;  // of the request under way
  const std::unique_ptr<httplib::ClientImpl> client_;
};

}  // namespace

absl::StatusOr<ServerAddress> ParseServerAddress(const std::string& url) {
  const auto bad = [&](std::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("server \"", url, "\" ", std::string(why)));
  };
  ServerAddress address;
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
    address.tls = false;
    address.port = 80;
  } else {
    return bad("does not begin with https://");
  }
  const size_t slash = rest.find('/');
  std::string_view authority = rest.substr(0, slash);
  if (slash != std::string_view::npos) {
    address.path_prefix = rest.substr(slash);
    while (address.path_prefix.ends_with('/')) {
      address.path_prefix.pop_back();
    }
  }
  const size_t bracket = authority.find(']');
  const size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon != std::string_view::npos) {
    if (!absl::SimpleAtoi(std::string(authority.substr(colon + 1)), &address.port) || address.port < 1 ||
        address.port > 65535) {
      return bad("has no port from 1 to 65535 after its colon");
    }
    authority = authority.substr(0, colon);
  }
  if (authority.starts_with('[') && authority.ends_with(']')) {
    authority = authority.substr(1, authority.size() - 2);
  }
  if (authority.empty() || authority.find_first_of("[]@?#") != std::string_view::npos) {
    return bad("names no host");
  }
  address.host = authority;
  return address;
}

absl::StatusOr<Authorities> Authorities::FromPem(const std::string& pem) {
  Authorities authorities;
  authorities.memory_ = UniqueFd(::memfd_create("splitft-authorities", MFD_CLOEXEC));
  const int fd = authorities.memory_.get();
  if (fd < 0 || ::write(fd, pem.data(), pem.size()) != static_cast<ssize_t>(pem.size())) {
    return ErrnoStatus(errno, "keep the cluster's authorities in", "memory");
  }
  authorities.path_ = absl::StrCat("/proc/self/fd/", fd);
  return authorities;
}

Authorities Authorities::FromFile(std::string path) {
  Authorities authorities;
  authorities.path_ = std::move(path);
  return authorities;
}

absl::StatusOr<std::unique_ptr<HttpConnection>> HttpConnection::Create(Options options) {
  const ServerAddress& address = options.address;
  if (!address.tls) {
    auto client = std::make_unique<httplib::ClientImpl>(address.host, address.port);
    return std::make_unique<HttplibConnection>(std::move(options), std::move(client));
  }
  SPLITFT_ASSIGN_OR_RETURN(const ClientCertificate certificate, ParseCertificate(options.credential));
  auto client = certificate.certificate == nullptr
                    ? std::make_unique<httplib::SSLClient>(address.host, address.port)
                    : std::make_unique<httplib::SSLClient>(address.host, address.port, certificate.certificate.get(),
                                                           certificate.key.get());
  if (!options.authorities_path.empty()) {
    client->set_ca_cert_path(options.authorities_path);  // and so not the system's
  }
  client->enable_server_certificate_verification(!options.insecure_skip_verify);
  return std::make_unique<HttplibConnection>(std::move(options), std::move(client));
}

}  // namespace splitft::kube
