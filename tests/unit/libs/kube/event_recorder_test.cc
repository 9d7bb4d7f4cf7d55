#include "libs/kube/event_recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "libs/kube/lease.h"
#include "tests/unit/libs/kube/manual_clock.h"
#include "tests/unit/libs/kube/scripted_transport.h"

namespace splitft::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

const ResourceType kJob{"splitft.io", "v1", "FinetuneJob", "finetunejobs"};
constexpr milliseconds kWall{1'769'860'800'123};  // 2026-01-31T12:00:00.123Z

Json Job(const std::string& name, const std::string& version = "5") {
  return {{"metadata", {{"namespace", "lab"}, {"name", name}, {"uid", "uid-" + name}, {"resourceVersion", version}}}};
}

EventNote Note(const std::string& note = "worker 3 was restarted") {
  return {.warning = true, .reason = "WorkerRestarted", .action = "Restart", .note = note};
}

Json EventOf(const Json& job, const EventNote& note, const std::string& instance = "pod-1") {
  return MakeEvent(kJob, job, note, kWall, "splitft.io/operator", instance);
}

TEST(MakeEvent, HasWhatTheServerWants) {
  Json event = EventOf(Job("train"), Note());
  EXPECT_THAT(event["metadata"]["name"].get<std::string>(), StartsWith("train."));
  event["metadata"].erase("name");
  EXPECT_EQ(event, Json::parse(R"({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"namespace": "lab"},
      "eventTime": "2026-01-31T12:00:00.123000Z", "type": "Warning", "reason": "WorkerRestarted", "action": "Restart",
      "note": "worker 3 was restarted", "reportingController": "splitft.io/operator", "reportingInstance": "pod-1",
      "regarding": {"apiVersion": "splitft.io/v1", "kind": "FinetuneJob", "namespace": "lab", "name": "train",
                    "uid": "uid-train", "resourceVersion": "5"}})"));
  EXPECT_EQ(EventOf(Job("train"), {.warning = false, .reason = "R", .action = "A", .note = "n"})["type"], "Normal");
}

TEST(MakeEvent, TheSameHasTheSameNameAndAnotherAnother) {
  const auto name = [](const Json& event) { return event["metadata"]["name"]; };
  EXPECT_EQ(name(EventOf(Job("a"), Note())), name(EventOf(Job("a", "6"), Note())));
  EXPECT_NE(name(EventOf(Job("a"), Note("x"))), name(EventOf(Job("a"), Note("y"))));
  EXPECT_NE(name(EventOf(Job("a"), Note())), name(EventOf(Job("a"), Note(), "pod-2")));
}

TEST(MakeEvent, OfAnObjectWithoutANamespaceIsInDefault) {
  EXPECT_EQ(EventOf({{"metadata", {{"name", "node-1"}}}}, Note())["metadata"]["namespace"], "default");
}

TEST(MakeEvent, ALongNoteIsCutBetweenCharacters) {
  const std::string note = std::string(1023, 'x') + "\u20ac";
  EXPECT_EQ(EventOf(Job("a"), Note(note))["note"], std::string(1023, 'x'));
}

TEST(MakeEvent, ALongNameIsStillAName) {
  std::string name(253, 'a');
  name[198] = '.';
  name[199] = '-';
  const std::string event_name = EventOf(Job(name), Note())["metadata"]["name"];
  EXPECT_THAT(event_name, StartsWith(std::string(198, 'a') + "."));
  EXPECT_EQ(event_name.size(), 198U + 1 + 16);
}

TEST(SetSeries, SaysHowOftenAndWhenLast) {
  Json event = EventOf(Job("a"), Note());
  SetSeries(event, 3, kWall + seconds(60));
  EXPECT_EQ(event["series"], Json::parse(R"({"count": 3, "lastObservedTime": "2026-01-31T12:01:00.123000Z"})"));
}

class EventRecorderTest : public ::testing::Test {
 protected:
  static TimePoint Soon() { return SystemClock().Now() + seconds(20); }
  // The events written so far.
  std::vector<Json> Written() const {
    std::vector<Json> events;
    for (const ScriptedTransport::Sent& sent : transport_.sent()) {
      EXPECT_EQ(sent.request.verb, "apply");
      EXPECT_THAT(sent.request.target, HasSubstr("fieldManager=operator"));
      events.push_back(Json::parse(sent.request.body));
    }
    return events;
  }
  static EventRecorder::Options Options() { return {.controller = "operator", .instance = "pod-1"}; }

  ManualClock clock_;
  ScriptedTransport transport_{clock_};  // it refuses everything, which does not matter
  Client client_{transport_, clock_, {.attempts = 1}};
};

TEST_F(EventRecorderTest, WritesWhatWasRecorded) {
  EventRecorder recorder(client_, clock_, Options());
  recorder.Record(kJob, Job("a"), Note("one"));
  recorder.Record(kJob, Job("a"), Note("two"));
  recorder.Record(kJob, Job("b"), Note("one"));
  ASSERT_TRUE(recorder.Flush(Soon()));
  const std::vector<Json> events = Written();
  ASSERT_THAT(events, SizeIs(3));
  EXPECT_EQ(events[0]["note"], "one");
  EXPECT_EQ(events[1]["note"], "two");
  EXPECT_EQ(events[2]["regarding"]["name"], "b");
  EXPECT_FALSE(events[0].contains("series"));
  EXPECT_EQ(recorder.dropped(), 0);
}

TEST_F(EventRecorderTest, TheSameAgainRaisesTheCountAndChangesNothingElse) {
  EventRecorder recorder(client_, clock_, Options());
  recorder.Record(kJob, Job("a", "5"), Note());
  ASSERT_TRUE(recorder.Flush(Soon()));
  clock_.Advance(minutes(9));
  recorder.Record(kJob, Job("a", "6"), Note());
  ASSERT_TRUE(recorder.Flush(Soon()));
  clock_.Advance(minutes(9));
  recorder.Record(kJob, Job("a", "7"), Note());
  ASSERT_TRUE(recorder.Flush(Soon()));
  std::vector<Json> events = Written();
  ASSERT_THAT(events, SizeIs(3));
  EXPECT_EQ(events[1]["series"]["count"], 2);
  EXPECT_EQ(events[2]["series"]["count"], 3);
  EXPECT_EQ(events[2]["series"]["lastObservedTime"], MicroTime(clock_.WallTime()));
  // The server refuses an event whose regarding, with the object's version, has changed.
  events[1].erase("series");
  events[2].erase("series");
  EXPECT_EQ(events[1], events[0]);
  EXPECT_EQ(events[2], events[0]);
}

TEST_F(EventRecorderTest, TheSameMuchLaterIsAnotherEvent) {
  EventRecorder recorder(client_, clock_, Options());
  recorder.Record(kJob, Job("a"), Note());
  ASSERT_TRUE(recorder.Flush(Soon()));
  clock_.Advance(minutes(10) + seconds(1));
  recorder.Record(kJob, Job("a"), Note());
  ASSERT_TRUE(recorder.Flush(Soon()));
  const std::vector<Json> events = Written();
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_NE(events[0]["metadata"]["name"], events[1]["metadata"]["name"]);
  EXPECT_FALSE(events[1].contains("series"));
}

// Holds every request until it is let go.
class Gate final : public Transport {
 public:
  absl::StatusOr<Response> Send(const Request& request, Duration) override SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    notes_.push_back(Json::parse(request.body)["note"]);
    changed_.SignalAll();
    while (!open_) {
      changed_.WaitUntil(mutex_, TimePoint::max());
    }
    SystemClock().SleepFor(latency_);
    return Response{201, "{}", ""};
  }
  absl::Status Stream(const Request&, Duration, std::stop_token, const Sink&) override {
    return absl::UnimplementedError("events are not watched");
  }
  void WaitForFirst() SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    while (notes_.empty()) {
      changed_.WaitUntil(mutex_, TimePoint::max());
    }
  }
  // From now on each takes `latency` only.
  void Open(Duration latency = {}) SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    open_ = true;
    latency_ = latency;
    changed_.SignalAll();
  }
  std::vector<std::string> notes() const SPLITFT_EXCLUDES(mutex_) {
    const MutexLock lock(mutex_);
    return notes_;
  }

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  bool open_ SPLITFT_GUARDED_BY(mutex_) = false;
  Duration latency_ SPLITFT_GUARDED_BY(mutex_){};
  std::vector<std::string> notes_ SPLITFT_GUARDED_BY(mutex_);
};

class SlowServerTest : public ::testing::Test {
 protected:
  // Records one note whose write hangs, and then `count` more.
  void RecordWhileItHangs(EventRecorder& recorder, int count) {
    recorder.Record(kJob, Job("a"), Note("first"));
    gate_.WaitForFirst();
    for (int i = 0; i < count; ++i) {
      recorder.Record(kJob, Job("a"), Note(absl::StrCat("note ", i)));
    }
  }
  Gate gate_;
  ManualClock clock_;
  Client client_{gate_, clock_};
};

TEST_F(SlowServerTest, WhatComesTooFastIsDroppedOldestFirstAndCounted) {
  EventRecorder recorder(client_, clock_, {.controller = "c", .instance = "i", .queue_limit = 3});
  RecordWhileItHangs(recorder, 5);
  EXPECT_EQ(recorder.dropped(), 2);
  EXPECT_FALSE(recorder.Flush(SystemClock().Now())) << "nothing is written yet";
  gate_.Open();
  ASSERT_TRUE(recorder.Flush(SystemClock().Now() + seconds(20)));
  EXPECT_THAT(gate_.notes(), ::testing::ElementsAre("first", "note 2", "note 3", "note 4"));
}

TEST_F(SlowServerTest, WhatIsForgottenBeforeItIsWrittenIsCountedAsDropped) {
  EventRecorder recorder(client_, clock_, {.controller = "c", .instance = "i", .memory = 2});
  RecordWhileItHangs(recorder, 4);
  gate_.Open();
  ASSERT_TRUE(recorder.Flush(SystemClock().Now() + seconds(20)));
  EXPECT_THAT(gate_.notes(), ::testing::ElementsAre("first", "note 2", "note 3"));
  EXPECT_EQ(recorder.dropped(), 2);
}

TEST_F(SlowServerTest, ManyOfTheSameAreOneWrite) {
  EventRecorder recorder(client_, clock_, {.controller = "c", .instance = "i"});
  RecordWhileItHangs(recorder, 0);
  for (int i = 0; i < 100; ++i) {
    recorder.Record(kJob, Job("a"), Note("again"));
  }
  gate_.Open();
  ASSERT_TRUE(recorder.Flush(SystemClock().Now() + seconds(20)));
  EXPECT_THAT(gate_.notes(), ::testing::ElementsAre("first", "again"));
}

TEST_F(SlowServerTest, ItsEndWritesNothingMore) {
  {
    EventRecorder recorder(client_, clock_, {.controller = "c", .instance = "i"});
    RecordWhileItHangs(recorder, 900);
    gate_.Open(milliseconds(1));
  }
  EXPECT_LT(gate_.notes().size(), 900U);
}

}  // namespace
}  // namespace splitft::kube
