#include "libs/kube/http_transport.h"

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/kube/api_error.h"
#include "libs/kube/http_connection.h"

namespace splitft::kube {
namespace {

constexpr size_t kErrorBodyLimit = 1 << 20;

class HttpTransport final : public Transport {
 public:
  HttpTransport(Cluster cluster, ServerAddress address, Authorities authorities, HttpTransportOptions options,
                const Clock& clock)
      : cluster_(std::move(cluster)),
        address_(std::move(address)),
        authorities_(std::move(authorities)),
        options_(std::move(options)),
        clock_(clock) {}

  absl::StatusOr<Response> Send(const Request& request, Duration timeout) override {
    const TimePoint deadline = clock_.Now() + timeout;
    absl::StatusOr<Response> response = SendOnce(request, deadline);
    if (response.ok() && response->status == 401 && cluster_.credentials != nullptr) {
      cluster_.credentials->Refused();
      return SendOnce(request, deadline);
    }
    return response;
  }

  absl::Status Stream(const Request& request, Duration idle_limit, std::stop_token stop, const Sink& sink) override {
    SPLITFT_ASSIGN_OR_RETURN(const Credential credential, CurrentCredential());
    SPLITFT_ASSIGN_OR_RETURN(const std::unique_ptr<HttpConnection> connection, Open(credential));
    HttpConnection::Head head;
    std::string error_body;
    TimePoint last = clock_.Now();
    absl::Status status =
        connection->Exchange(request, credential.token, idle_limit, stop,
                             {.on_head =
                                  [&](const HttpConnection::Head& got) {
                                    head = got;
                                    return absl::OkStatus();
                                  },
                              .on_bytes =
                                  [&](std::string_view bytes) {
                                    last = clock_.Now();
                                    if (head.status / 100 == 2) {
                                      return sink(bytes);
                                    }
                                    error_body.append(bytes.substr(0, kErrorBodyLimit - error_body.size()));
                                    return absl::OkStatus();
                                  }});
    if (status.ok() && head.status / 100 != 2) {
      if (head.status == 401 && cluster_.credentials != nullptr) {
        cluster_.credentials->Refused();
      }
      return ToStatus(ParseApiError(head.status, error_body, head.retry_after));
    }
    // A silent stream and a broken one look alike to the socket.
    if (absl::IsUnavailable(status) && clock_.Now() - last >= idle_limit) {
      return absl::DeadlineExceededError(absl::StrCat("nothing came for ", Seconds(idle_limit), " s"));
    }
    return status;
  }

 private:
  // A connection and what it was made with.
  struct Pooled {
    std::unique_ptr<HttpConnection> connection;
    uint64_t generation = 0;
  };

  absl::StatusOr<Response> SendOnce(const Request& request, TimePoint deadline) {
    SPLITFT_ASSIGN_OR_RETURN(const Credential credential, CurrentCredential());
    SPLITFT_ASSIGN_OR_RETURN(Pooled pooled, Borrow(credential, deadline));
    absl::StatusOr<Response> response = ExchangeWhole(*pooled.connection, request, credential.token, deadline);
    GiveBack(std::move(pooled));
    return response;
  }

  absl::StatusOr<Response> ExchangeWhole(HttpConnection& connection, const Request& request, const std::string& token,
                                         TimePoint deadline) {
    const Duration left = deadline - clock_.Now();
    if (left <= Duration::zero()) {
      return absl::DeadlineExceededError(absl::StrCat(request.verb, " ", request.resource, ": no time was left"));
    }
    Response response;
    const absl::Status status = connection.Exchange(
        request, token, left, {},
        {.on_head =
             [&](const HttpConnection::Head& head) {
               response.status = head.status;
               response.retry_after = head.retry_after;
               return absl::OkStatus();
             },
         .on_bytes = [&](std::string_view bytes) -> absl::Status {
           if (response.body.size() + bytes.size() > options_.body_limit_bytes) {
             return absl::OutOfRangeError(absl::StrCat(request.verb, " ", request.resource, ": the answer has over ",
                                                       options_.body_limit_bytes, " bytes"));
           }
           response.body += bytes;
           return clock_.Now() < deadline ? absl::OkStatus() : absl::DeadlineExceededError("the answer took too long");
         }});
    if (!status.ok()) {
      return absl::IsUnavailable(status) && clock_.Now() >= deadline
                 ? absl::DeadlineExceededError(absl::StrCat(request.verb, " ", request.resource, ": no answer in time"))
                 : status;
    }
    return response;
  }

  absl::StatusOr<Credential> CurrentCredential() {
    return cluster_.credentials == nullptr ? Credential() : cluster_.credentials->Get();
  }

  absl::StatusOr<std::unique_ptr<HttpConnection>> Open(const Credential& credential) {
    return HttpConnection::Create({.address = address_,
                                   .authorities_path = authorities_.path(),
                                   .insecure_skip_verify = cluster_.insecure_skip_verify,
                                   .credential = credential,
                                   .connect_timeout = options_.connect_timeout,
                                   .user_agent = options_.user_agent});
  }

  absl::StatusOr<Pooled> Borrow(const Credential& credential, TimePoint deadline) SPLITFT_EXCLUDES(mutex_) {
    const std::filesystem::file_time_type authorities_time = AuthoritiesTime();
    Pooled pooled;
    std::vector<Pooled> outdated;  // closed outside the lock
    {
      const MutexLock lock(mutex_);
      while (borrowed_ >= options_.connections) {
        if (!returned_.WaitUntil(mutex_, deadline) && borrowed_ >= options_.connections) {
          return absl::DeadlineExceededError(absl::StrCat("all ", options_.connections, " connections were in use"));
        }
      }
      if (authorities_time != authorities_time_ || credential.certificate_pem != certificate_pem_) {
        authorities_time_ = authorities_time;
        certificate_pem_ = credential.certificate_pem;
        ++generation_;
        outdated.swap(idle_);
      }
      ++borrowed_;
      pooled.generation = generation_;
      if (!idle_.empty()) {
        pooled = std::move(idle_.back());
        idle_.pop_back();
      }
    }
    if (pooled.connection == nullptr) {
      absl::StatusOr<std::unique_ptr<HttpConnection>> opened = Open(credential);
      if (!opened.ok()) {
        GiveBack({});
        return opened.status();
      }
      pooled.connection = *std::move(opened);
    }
    return pooled;
  }

  void GiveBack(Pooled pooled) SPLITFT_EXCLUDES(mutex_) {
    {
      const MutexLock lock(mutex_);
      --borrowed_;
      if (pooled.connection != nullptr && pooled.generation == generation_) {
        idle_.push_back(std::move(pooled));
      }
    }
    returned_.Signal();
  }

  std::filesystem::file_time_type AuthoritiesTime() const {
    std::error_code error;
    return cluster_.ca_file.empty() ? std::filesystem::file_time_type()
                                    : std::filesystem::last_write_time(cluster_.ca_file, error);
  }

  const Cluster cluster_;
  const ServerAddress address_;
  const Authorities authorities_;
  const HttpTransportOptions options_;
  const Clock& clock_;

  Mutex mutex_;
  CondVar returned_;
  std::vector<Pooled> idle_ SPLITFT_GUARDED_BY(mutex_);
  size_t borrowed_ SPLITFT_GUARDED_BY(mutex_) = 0;
  uint64_t generation_ SPLITFT_GUARDED_BY(mutex_) = 0;
  std::filesystem::file_time_type authorities_time_ SPLITFT_GUARDED_BY(mutex_);
  std::string certificate_pem_ SPLITFT_GUARDED_BY(mutex_);
};

absl::StatusOr<Authorities> AuthoritiesOf(const Cluster& cluster) {
  if (!cluster.ca_file.empty()) {
    return Authorities::FromFile(cluster.ca_file.string());
  }
  return cluster.ca_pem.empty() ? Authorities() : Authorities::FromPem(cluster.ca_pem);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Transport>> MakeHttpTransport(Cluster cluster, HttpTransportOptions options,
                                                             const Clock& clock) {
  SPLITFT_ASSIGN_OR_RETURN(ServerAddress address, ParseServerAddress(cluster.server));
  SPLITFT_ASSIGN_OR_RETURN(Authorities authorities, AuthoritiesOf(cluster));
  return std::make_unique<HttpTransport>(std::move(cluster), std::move(address), std::move(authorities),
                                         std::move(options), clock);
}

}  // namespace splitft::kube
