#include "aggregator/absences.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace splitft::aggregator {
namespace {

std::string Loss(const std::string& client, int64_t steps) {
  return absl::StrCat("client ", client, " was lost after ", steps, " steps");
}

}  // namespace

void Absences::Expect(const std::string& client, TimePoint now) {
  away_[client] = {.deadline = now + options_.start_patience};
}

absl::Status Absences::Lose(const std::string& client, TimePoint now, int64_t steps, const std::string& why) {
  if (options_.rejoin_patience <= Duration::zero()) {
    return absl::UnavailableError(absl::StrCat(Loss(client, steps), ": ", why));
  }
  if (const int losses = ++losses_[client]; losses >= options_.max_losses) {
    return absl::UnavailableError(
        absl::StrCat(Loss(client, steps), ", ", losses, " times without a step being completed: ", why));
  }
  away_[client] = {.joined = true, .deadline = now + options_.rejoin_patience, .steps = steps, .why = why};
  return absl::OkStatus();
}

void Absences::Refuse(const std::string& client, const absl::Status& refusal) {
  if (const auto found = away_.find(client); found != away_.end()) {
    found->second.refusal = std::string(refusal.message());
  }
}

TimePoint Absences::deadline() const {
  TimePoint first = TimePoint::max();
  for (const auto& [client, absence] : away_) {
    first = std::min(first, absence.deadline);
  }
  return first;
}

absl::Status Absences::Expired(TimePoint now) const {
  std::vector<std::string> lost;
  std::vector<std::string> never_here;
  for (const auto& [client, absence] : away_) {
    if (now >= absence.deadline) {
      (absence.joined ? lost : never_here).push_back(Describe(client, absence));
    }
  }
  if (!lost.empty()) {
    return absl::UnavailableError(absl::StrJoin(lost, "; "));
  }
  if (!never_here.empty()) {
    return absl::DeadlineExceededError(absl::StrCat("clients did not join within ", Seconds(options_.start_patience),
                                                    " s: ", absl::StrJoin(never_here, ", ")));
  }
  return absl::OkStatus();
}

std::string Absences::Describe(const std::string& client, const Absence& absence) const {
  std::string text = absence.joined ? absl::StrCat(Loss(client, absence.steps), " and did not come back within ",
                                                   Seconds(options_.rejoin_patience), " s: ", absence.why)
                                    : client;
  if (!absence.refusal.empty()) {
    absl::StrAppend(&text, " (it came and was refused: ", absence.refusal, ")");
  }
  return text;
}

}  // namespace splitft::aggregator
