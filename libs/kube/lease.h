#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "absl/status/status.h"
#include "libs/base/clock.h"
#include "libs/kube/client.h"
#include "libs/kube/object.h"

namespace splitft::kube {

inline const ResourceType kLease{"coordination.k8s.io", "v1", "Lease", "leases"};

// Which of several candidates leads, as client-go's leader election decides it: whoever holds the Lease and renews it.
// A lease is no fence: a leader that was asleep may write once more before it notices.
struct LeaseOptions {
  ObjectKey key;
  std::string identity;                                // unique among the candidates
  Duration duration = std::chrono::seconds(15);        // a holder that has not renewed for so long has lost it
  Duration renew_deadline = std::chrono::seconds(10);  // a leader that could not renew for so long stands down
  Duration retry = std::chrono::seconds(2);
};

// The rules, without I/O. Times are this process' own monotonic clock: what counts is how long ago *we* saw the lease
// change, never the time written in it.
class LeaseRules {
 public:
  explicit LeaseRules(LeaseOptions options) : options_(std::move(options)) {}

  // The lease as it was read (null: there is none). `now` is not before the answer came: the holder may have renewed it
  // while the question was under way.
  void Observe(const Json& lease, TimePoint now);
  // Whether to try to take or renew the lease now: it is ours, free, or its holder has been silent for its duration.
  bool MayTake(TimePoint now) const;
  // The lease to write: created where none was there, else a replacement of the one observed. `wall` is for people.
  Json Claim(std::chrono::milliseconds wall) const;
  // The lease to write when we leave, so that another need not wait; null where it is not ours.
  Json Release(std::chrono::milliseconds wall) const;
  // What Claim returned was written, and this is the server's answer. `before` is not after the write was sent: others
  // may count from any time since.
  void Written(const Json& lease, TimePoint before);
  // Whether we lead: our last write is younger than renew_deadline.
  bool Leading(TimePoint now) const { return now < LeadsUntil(); }
  // When we cease to lead unless the lease is renewed; in the past where we do not lead.
  TimePoint LeadsUntil() const;

  bool exists() const { return lease_.is_object(); }
  // How often the lease has changed hands.
  int64_t transitions() const;
  const LeaseOptions& options() const { return options_; }

 private:
  bool Held() const;

  LeaseOptions options_;
  Json lease_;
  TimePoint changed_{};  // when lease_ was first seen as it is
  std::optional<TimePoint> renewed_;
};

// Takes part in an election until `stop`. Calls `lead` on a thread of its own each time this candidate becomes leader;
// its token is stopped when leadership is lost or `stop` is asked for, however long a request of ours hangs then;
// `lead` must return soon afterwards, and not before. Gives the lease up at the end.
class LeaderElection {
 public:
  // `term`: the lease's count of leaders, greater than that of every leader before: what is marked with it fences off
  // one that was asleep.
  using Lead = std::function<void(int64_t term, std::stop_token)>;
  // All outlive the election.
  LeaderElection(Transport& transport, const Clock& clock, LeaseOptions options, Lead lead);
  void Run(const std::stop_token& stop);

 private:
  // Reads the lease, and writes it where the rules say so.
  absl::Status Round();
  void Release();

  Client client_;
  const Clock& clock_;
  LeaseRules rules_;
  Lead lead_;
};

// "2026-01-31T12:00:00.000000Z": a MicroTime, which wants exactly six digits.
std::string MicroTime(std::chrono::milliseconds wall);

}  // namespace splitft::kube
