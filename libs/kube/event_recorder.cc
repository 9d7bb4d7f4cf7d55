#include "libs/kube/event_recorder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "libs/base/random.h"
#include "libs/kube/lease.h"

namespace splitft::kube {
namespace {

constexpr size_t kNoteLimit = 1024;
constexpr size_t kStemLimit = 200;

// The beginning of an event's name, which a label follows: a name of at most 253 characters, no part of which ends with
// a hyphen.
std::string NameStem(const std::string& name) {
  std::string stem = name.substr(0, kStemLimit);
  while (stem.ends_with('-') || stem.ends_with('.')) {
    stem.pop_back();
  }
  return stem;
}

}  // namespace

Json MakeEvent(const ResourceType& type, const Json& regarding, const EventNote& note, std::chrono::milliseconds first,
               std::string_view controller, std::string_view instance) {
  const ObjectKey key = KeyOf(regarding);
  // The same event has the same name, so that a repeated write is an update.
  const std::string identity = absl::StrCat(std::string(UidOf(regarding)), note.reason, note.action, note.note,
                                            std::string(instance), first.count());
  return {{"apiVersion", kEvent.api_version()},
          {"kind", kEvent.kind},
          {"metadata",
           {{"name", absl::StrCat(NameStem(key.name), ".", absl::Hex(HashName(identity), absl::kZeroPad16))},
            {"namespace", key.name_space.empty() ? "default" : key.name_space}}},
          {"eventTime", MicroTime(first)},
          {"type", note.warning ? "Warning" : "Normal"},
          {"reason", note.reason},
          {"action", note.action},
          {"note", CutText(note.note, kNoteLimit)},
          {"reportingController", controller},
          {"reportingInstance", instance},
          {"regarding",
           {{"apiVersion", type.api_version()},
            {"kind", type.kind},
            {"name", key.name},
            {"namespace", key.name_space},
            {"uid", UidOf(regarding)},
            {"resourceVersion", ResourceVersionOf(regarding)}}}};
}

void SetSeries(Json& event, int64_t count, std::chrono::milliseconds last) {
  event["series"] = {{"count", count}, {"lastObservedTime", MicroTime(last)}};
}

EventRecorder::EventRecorder(Client& client, const Clock& clock, Options options)
    : client_(client), clock_(clock), options_(std::move(options)), thread_([this] { Run(); }) {}

EventRecorder::~EventRecorder() {
  {
    const MutexLock lock(mutex_);
    closed_ = true;
  }
  changed_.SignalAll();
}

void EventRecorder::Record(const ResourceType& type, const Json& regarding, const EventNote& note) {
  const std::string identity =
      absl::StrCat(std::string(UidOf(regarding)), "\n", note.reason, "\n", note.action, "\n", note.note);
  const TimePoint now = clock_.Now();
  const std::chrono::milliseconds wall = clock_.WallTime();
  {
    const MutexLock lock(mutex_);
    auto known = known_.find(identity);
    if (known == known_.end() || now - known->second.last > options_.same_for) {
      if (known == known_.end()) {
        order_.push_back(identity);
      }
      Json event = MakeEvent(type, regarding, note, wall, options_.controller, options_.instance);
      known = known_.insert_or_assign(identity, Known{.event = std::move(event)}).first;
    } else {
      SetSeries(known->second.event, ++known->second.count, wall);
    }
    known->second.last = now;
    if (std::find(pending_.begin(), pending_.end(), identity) == pending_.end()) {
      pending_.push_back(identity);
    }
    if (pending_.size() > options_.queue_limit) {
      pending_.pop_front();
      ++dropped_;
    }
    while (order_.size() > options_.memory) {
      known_.erase(order_.front());
      order_.pop_front();
    }
  }
  changed_.SignalAll();
}

bool EventRecorder::Flush(TimePoint deadline) {
  const MutexLock lock(mutex_);
  while (!pending_.empty() || writing_) {
    if (!changed_.WaitUntil(mutex_, deadline) && (!pending_.empty() || writing_)) {
      return false;
    }
  }
  return true;
}

int64_t EventRecorder::dropped() const {
  const MutexLock lock(mutex_);
  return dropped_;
}

void EventRecorder::Run() {
  for (;;) {
    Json event;
    {
      const MutexLock lock(mutex_);
      writing_ = false;
      changed_.SignalAll();
      while (pending_.empty() && !closed_) {
        changed_.WaitUntil(mutex_, clock_.Now() + std::chrono::hours(1));
      }
      if (closed_) {
        return;
      }
      const auto known = known_.find(pending_.front());
      pending_.pop_front();
      if (known == known_.end()) {
        ++dropped_;  // forgotten since
        continue;
      }
      event = known->second.event;
      writing_ = true;
    }
    Write(event);
  }
}

void EventRecorder::Write(const Json& event) {
  // An apply creates the event or updates its series. One that is lost is lost: events are for people.
  static_cast<void>(client_.Apply(kEvent, event, {.name = options_.controller}, Client::Answer::kMetadata));
}

}  // namespace splitft::kube
