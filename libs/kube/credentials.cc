#include "libs/kube/credentials.h"

#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "libs/base/file.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/kube/object.h"
#include "libs/kube/plugin_process.h"

namespace splitft::kube {
namespace {

constexpr size_t kTokenLimit = 1 << 20;
constexpr Duration kTokenAge = std::chrono::minutes(1);
// A credential that is about to expire would do so on its way.
constexpr auto kExpiryMargin = std::chrono::seconds(10);

class Fixed final : public CredentialSource {
 public:
  explicit Fixed(Credential credential) : credential_(std::move(credential)) {}
  absl::StatusOr<Credential> Get() override { return credential_; }

 private:
  const Credential credential_;
};

class FromTokenFile final : public CredentialSource {
 public:
  FromTokenFile(std::filesystem::path file, const Clock& clock) : file_(std::move(file)), clock_(clock) {}

  absl::StatusOr<Credential> Get() override SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    const TimePoint now = clock_.Now();
    if (!read_.has_value() || now - *read_ >= kTokenAge) {
      absl::StatusOr<std::string> token = ReadToken();
      if (token.ok()) {
        token_ = *std::move(token);
        read_ = now;
      } else if (token_.empty()) {
        return absl::UnauthenticatedError(std::string(token.status().message()));
      }  // else: the last one may still be good, and the server says so if it is not
    }
    return Credential{.token = token_, .certificate_pem = {}, .key_pem = {}};
  }
  void Refused() override SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    read_.reset();
  }

 private:
  absl::StatusOr<std::string> ReadToken() const {
    SPLITFT_ASSIGN_OR_RETURN(const std::string text, ReadFile(file_, kTokenLimit));
    std::string token(absl::StripAsciiWhitespace(text));
    if (token.empty()) {  // without a token we would be anonymous
      return absl::NotFoundError(absl::StrCat("\"", file_.string(), "\" holds no token"));
    }
    return token;
  }

  const std::filesystem::path file_;
  const Clock& clock_;
  Mutex mutex_;
  std::string token_ SPLITFT_GUARDED_BY(mutex_);
  std::optional<TimePoint> read_ SPLITFT_GUARDED_BY(mutex_);
};

class FromPlugin final : public CredentialSource {
 public:
  FromPlugin(ExecPlugin plugin, const Clock& clock) : plugin_(std::move(plugin)), clock_(clock) {}

  absl::StatusOr<Credential> Get() override SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);  // also while the plugin runs: everybody waits for the same credential
    if (!answer_.has_value() || Expired(*answer_)) {
      absl::StatusOr<PluginAnswer> answer = Ask();
      if (!answer.ok()) {
        const std::string hint = plugin_.install_hint.empty() ? "" : absl::StrCat("\n", plugin_.install_hint);
        return absl::UnauthenticatedError(absl::StrCat(std::string(answer.status().message()), hint));
      }
      answer_ = *std::move(answer);
    }
    return answer_->credential;
  }
  void Refused() override SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    answer_.reset();
  }

 private:
  absl::StatusOr<PluginAnswer> Ask() const {
    SPLITFT_ASSIGN_OR_RETURN(const std::string text, RunPlugin(plugin_));
    return ParseExecCredential(text, plugin_.api_version);
  }
  bool Expired(const PluginAnswer& answer) const {
    absl::Time expiration;
    if (answer.expiration.empty() || !absl::ParseTime(absl::RFC3339_full, answer.expiration, &expiration, nullptr)) {
      return false;
    }
    return absl::ToChronoTime(expiration) < std::chrono::system_clock::time_point(clock_.WallTime()) + kExpiryMargin;
  }

  const ExecPlugin plugin_;
  const Clock& clock_;
  Mutex mutex_;
  std::optional<PluginAnswer> answer_ SPLITFT_GUARDED_BY(mutex_);
};

}  // namespace

std::shared_ptr<CredentialSource> FixedCredential(Credential credential) {
  return std::make_shared<Fixed>(std::move(credential));
}

std::shared_ptr<CredentialSource> TokenFile(std::filesystem::path file, const Clock& clock) {
  return std::make_shared<FromTokenFile>(std::move(file), clock);
}

std::shared_ptr<CredentialSource> ExecCredential(ExecPlugin plugin, const Clock& clock) {
  return std::make_shared<FromPlugin>(std::move(plugin), clock);
}

absl::StatusOr<PluginAnswer> ParseExecCredential(std::string_view text, std::string_view api_version) {
  const Json answer = Json::parse(text, nullptr, false);
  if (TextAt(answer, {"kind"}) != "ExecCredential" || TextAt(answer, {"apiVersion"}) != api_version) {
    return absl::InvalidArgumentError(
        absl::StrCat("the credential plugin printed no ExecCredential of ", std::string(api_version)));
  }
  PluginAnswer parsed{
      .credential = {.token = std::string(TextAt(answer, {"status", "token"})),
                     .certificate_pem = std::string(TextAt(answer, {"status", "clientCertificateData"})),
                     .key_pem = std::string(TextAt(answer, {"status", "clientKeyData"}))},
      .expiration = std::string(TextAt(answer, {"status", "expirationTimestamp"}))};
  if (parsed.credential.token.empty() && parsed.credential.certificate_pem.empty()) {
    return absl::InvalidArgumentError("the credential plugin's ExecCredential has neither token nor certificate");
  }
  if (parsed.credential.certificate_pem.empty() != parsed.credential.key_pem.empty()) {
    return absl::InvalidArgumentError(
        "the credential plugin's ExecCredential has a certificate or a key, but not both");
  }
  return parsed;
}

}  // namespace splitft::kube
