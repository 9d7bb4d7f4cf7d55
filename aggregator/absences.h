#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "libs/base/clock.h"

namespace splitft::aggregator {

// Which of a job's clients are away, and how long the job waits for them. A value without I/O.
class Absences {
 public:
  struct Options {
    Duration start_patience{};   // for a client to join at all
    Duration rejoin_patience{};  // for one that was lost to come back; 0: the first loss ends the job
    // Of one client between two steps that were completed. A worker that dies of the step itself, or two workers that
    // take the same client's place from each other, end the job that way.
    int max_losses = 20;
  };
  explicit Absences(const Options& options) : options_(options) {}

  // `client` has not joined yet.
  void Expect(const std::string& client, TimePoint now);
  // `client` was lost after `steps` steps because of `why`. Unavailable, naming all three, where the job does not wait
  // for it: there is no patience, or it was lost too often.
  absl::Status Lose(const std::string& client, TimePoint now, int64_t steps, const std::string& why);
  // `client` is here.
  void Return(const std::string& client) { away_.erase(client); }
  // `client` tried to come, and was refused: the message of its absence will say so.
  void Refuse(const std::string& client, const absl::Status& refusal);
  // A step was completed: losses are counted anew.
  void Progress() { losses_.clear(); }

  // When the first patience ends; TimePoint::max() while nobody is away.
  TimePoint deadline() const;
  // Why the job ends: Unavailable, naming each client whose patience is over, when it was lost and how long it was
  // waited for; DeadlineExceeded where all of them never joined. OK before deadline().
  absl::Status Expired(TimePoint now) const;

 private:
  struct Absence {
    bool joined = false;  // ever
    TimePoint deadline;
    int64_t steps = 0;
    std::string why;
    std::string refusal;
  };
  std::string Describe(const std::string& client, const Absence& absence) const;

  const Options options_;
  std::map<std::string, Absence> away_;
  std::map<std::string, int> losses_;
};

}  // namespace splitft::aggregator
