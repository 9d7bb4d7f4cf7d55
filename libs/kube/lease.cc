#include "libs/kube/lease.h"

#include <memory>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "libs/base/mutex.h"
#include "libs/base/status_macros.h"
#include "libs/kube/stoppable_wait.h"

namespace splitft::kube {
namespace {

// One time as leader. It ends by itself when it is not extended, when `stop` is asked for, and with this object, whose
// end waits for `lead`.
class Term {
 public:
  Term(const Clock& clock, std::function<void(std::stop_token)> lead, TimePoint until, const std::stop_token& stop)
      : clock_(clock),
        until_(until),
        on_stop_(stop, [this] { over_.request_stop(); }),
        leading_([this, lead = std::move(lead)] { lead(over_.get_token()); }),
        watching_([this] { Watch(); }) {}
  ~Term() { over_.request_stop(); }

  // False: it is over.
  bool Extend(TimePoint until) SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    until_ = until;
    return !expired_ && !over_.stop_requested();
  }

 private:
  void Watch() SPLITFT_EXCLUDES(mutex_) {
    while (const std::optional<TimePoint> until = Until()) {
      WaitUnlessStopped(*until, over_.get_token());
    }
    over_.request_stop();
  }
  // Until when the term is to last as far as is known now; nothing: it is over.
  std::optional<TimePoint> Until() SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    expired_ = expired_ || clock_.Now() >= until_;
    return expired_ || over_.stop_requested() ? std::nullopt : std::optional(until_);
  }

  const Clock& clock_;
  std::stop_source over_;
  Mutex mutex_;
  TimePoint until_ SPLITFT_GUARDED_BY(mutex_);
  bool expired_ SPLITFT_GUARDED_BY(mutex_) = false;
  const std::stop_callback<std::function<void()>> on_stop_;
  std::jthread leading_;  // last: they use what is above
  std::jthread watching_;
};

}  // namespace

std::string MicroTime(std::chrono::milliseconds wall) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::FromUnixMillis(wall.count()), absl::UTCTimeZone());
}

void LeaseRules::Observe(const Json& lease, TimePoint now) {
  if (lease != lease_) {
    lease_ = lease;
    changed_ = now;
  }
  if (!Held()) {
    renewed_.reset();
  }
}

bool LeaseRules::MayTake(TimePoint now) const {
  const std::string_view holder = TextAt(lease_, {"spec", "holderIdentity"});
  if (!exists() || holder.empty() || holder == options_.identity) {
    return true;
  }
  const std::chrono::seconds theirs(IntegerAt(lease_, {"spec", "leaseDurationSeconds"}, 15));
  return now - changed_ >= theirs;
}

int64_t LeaseRules::transitions() const { return IntegerAt(lease_, {"spec", "leaseTransitions"}); }

Json LeaseRules::Claim(std::chrono::milliseconds wall) const {
  Json claim = exists() ? lease_
                        : Json{{"apiVersion", kLease.api_version()},
                               {"kind", kLease.kind},
                               {"metadata", {{"name", options_.key.name}, {"namespace", options_.key.name_space}}}};
  Json& spec = claim["spec"];
  if (!Held()) {
    spec["acquireTime"] = MicroTime(wall);
    spec["leaseTransitions"] = exists() ? transitions() + 1 : 0;
  }
  spec["holderIdentity"] = options_.identity;
  spec["leaseDurationSeconds"] = std::chrono::ceil<std::chrono::seconds>(options_.duration).count();
  spec["renewTime"] = MicroTime(wall);
  return claim;
}

Json LeaseRules::Release(std::chrono::milliseconds wall) const {
  if (!Held()) {
    return nullptr;
  }
  Json lease = lease_;
  lease["spec"]["holderIdentity"] = "";
  lease["spec"]["leaseDurationSeconds"] = 1;
  lease["spec"]["renewTime"] = MicroTime(wall);
  return lease;
}

void LeaseRules::Written(const Json& lease, TimePoint before) {
  lease_ = lease;
  changed_ = before;
  renewed_ = before;
}

TimePoint LeaseRules::LeadsUntil() const {
  return renewed_.has_value() ? *renewed_ + options_.renew_deadline : TimePoint::min();
}

bool LeaseRules::Held() const { return exists() && TextAt(lease_, {"spec", "holderIdentity"}) == options_.identity; }

// A round that hangs must end before others may take the lease: renew_deadline and its two requests fit into the
// duration.
LeaderElection::LeaderElection(Transport& transport, const Clock& clock, LeaseOptions options, Lead lead)
    : client_(transport, clock, {.patience = (options.duration - options.renew_deadline) / 2, .attempts = 1}),
      clock_(clock),
      rules_(std::move(options)),
      lead_(std::move(lead)) {}

void LeaderElection::Run(const std::stop_token& stop) {
  std::unique_ptr<Term> term;
  while (!stop.stop_requested()) {
    // One that fails is tried again for as long as the last write counts.
    static_cast<void>(Round());
    if (term != nullptr && !(rules_.Leading(clock_.Now()) && term->Extend(rules_.LeadsUntil()))) {
      term.reset();
    }
    if (term == nullptr && rules_.Leading(clock_.Now()) && !stop.stop_requested()) {
      const auto lead = [this, number = rules_.transitions()](std::stop_token over) { lead_(number, std::move(over)); };
      term = std::make_unique<Term>(clock_, lead, rules_.LeadsUntil(), stop);
    }
    WaitUnlessStopped(clock_.Now() + rules_.options().retry, stop);
  }
  term.reset();
  Release();
}

absl::Status LeaderElection::Round() {
  const absl::StatusOr<Json> lease = client_.Get(kLease, rules_.options().key);
  if (!lease.ok() && !absl::IsNotFound(lease.status())) {
    return lease.status();
  }
  rules_.Observe(lease.ok() ? *lease : Json(), clock_.Now());
  if (!rules_.MayTake(clock_.Now())) {
    return absl::OkStatus();
  }
  const Json claim = rules_.Claim(clock_.WallTime());
  const TimePoint before = clock_.Now();
  SPLITFT_ASSIGN_OR_RETURN(const Json written,
                           rules_.exists() ? client_.Replace(kLease, claim) : client_.Create(kLease, claim));
  rules_.Written(written, before);
  return absl::OkStatus();
}

void LeaderElection::Release() {
  if (const Json lease = rules_.Release(clock_.WallTime()); !lease.is_null()) {
    // Whoever cannot say goodbye lets the lease run out.
    static_cast<void>(client_.Replace(kLease, lease));
  }
}

}  // namespace splitft::kube
