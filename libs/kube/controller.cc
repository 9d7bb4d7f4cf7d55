#include "libs/kube/controller.h"

#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/kube/api_error.h"

namespace splitft::kube {

Controller::Controller(const Clock& clock, Options options, Reconcile reconcile)
    : clock_(clock), options_(std::move(options)), reconcile_(std::move(reconcile)), queue_(clock, options_.queue) {}

Controller::~Controller() { Stop(); }

void Controller::Start() {
  for (int i = 0; i < options_.workers; ++i) {
    workers_.emplace_back([this] { Work(); });
  }
}

void Controller::Stop() {
  queue_.Close();
  workers_.clear();  // joins
}

void Controller::Work() {
  Duration waited{};
  while (const std::optional<ObjectKey> key = queue_.Take(TimePoint::max(), &waited)) {
    const TimePoint start = clock_.Now();
    const absl::StatusOr<std::optional<Duration>> again = ReconcileOnce(*key);
    if (options_.observer) {
      options_.observer({.key = *key, .status = again.status(), .waited = waited, .duration = clock_.Now() - start});
    }
    if (again.ok()) {
      queue_.Forget(*key);
      if (again->has_value()) {
        queue_.AddAfter(*key, **again);
      }
    } else {
      // Where the server asks for more time than our own backoff, its time counts.
      queue_.AddAfterFailure(*key, RetryAfterOf(again.status()).value_or(Duration::zero()));
    }
    queue_.Done(*key);
  }
}

absl::StatusOr<std::optional<Duration>> Controller::ReconcileOnce(const ObjectKey& key) {
  try {
    return reconcile_(key);
  } catch (const std::exception& problem) {
    return absl::InternalError(absl::StrCat("exception: ", problem.what()));
  }
}

}  // namespace splitft::kube
