// The controller of libs/kube/README.md, and events.

#include "libs/kube/controller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/kube/event_recorder.h"
#include "libs/kube/informer.h"
#include "tests/integration/kube/server.h"

namespace splitft::kube {
namespace {

using Result = absl::StatusOr<std::optional<Duration>>;

constexpr Duration kPatience = std::chrono::seconds(60);

TEST(Controller, KeepsCopiesAsTheyShouldBe) {
  const Clock& clock = SystemClock();
  const auto transport = Connect(Server().kubeconfig());
  Client client(*transport, clock);
  const std::string name_space = MakeNamespace(client, "copies");
  Informer wanted(*transport, clock, {.type = kConfigMap, .name_space = name_space, .label_selector = "copy=wanted"});
  Informer copies(*transport, clock, {.type = kConfigMap, .name_space = name_space, .label_selector = "copy=made"});
  Controller controller(clock, {}, [&](const ObjectKey& key) -> Result {
    const Object original = wanted.Get(key);
    if (original == nullptr || IsBeingDeleted(*original)) {
      return std::nullopt;
    }
    const Json copy = {{"apiVersion", "v1"},
                       {"kind", "ConfigMap"},
                       {"metadata",
                        {{"name", key.name + "-copy"},
                         {"namespace", key.name_space},
                         {"labels", {{"copy", "made"}}},
                         {"ownerReferences", {ControllerReference(kConfigMap, *original)}}}},
                       {"data", original->value("data", Json::object())}};
    const absl::StatusOr<Json> applied = client.Apply(kConfigMap, copy, {.name = "copier"});
    return applied.ok() ? Result(std::nullopt) : applied.status();
  });
  wanted.AddListener([&](const Change& change) { controller.queue().Add(change.key); });
  copies.AddListener([&](const Change& change) {
    controller.queue().Add({change.key.name_space, change.key.name.substr(0, change.key.name.rfind("-copy"))});
  });
  wanted.Start();
  copies.Start();
  controller.Start();

  const auto copy_is = [&](const std::string& value) {
    for (int i = 0; i < 3000; ++i) {
      if (const Object copy = copies.Get({name_space, "a-copy"});
          copy != nullptr && TextAt(*copy, {"data", "v"}) == value) {
        return true;
      }
      clock.SleepFor(std::chrono::milliseconds(20));
    }
    return false;
  };
  Json original = ConfigMap(name_space, "a", {{"v", "1"}});
  original["metadata"]["labels"] = {{"copy", "wanted"}};
  ASSERT_TRUE(client.Create(kConfigMap, original).ok());
  EXPECT_TRUE(copy_is("1"));
  ASSERT_TRUE(client.MergePatch(kConfigMap, {name_space, "a"}, {{"data", {{"v", "2"}}}}).ok());
  EXPECT_TRUE(copy_is("2"));
  ASSERT_TRUE(client.MergePatch(kConfigMap, {name_space, "a-copy"}, {{"data", {{"v", "spoilt"}}}}).ok());
  EXPECT_TRUE(copy_is("2"));
  ASSERT_TRUE(client.Delete(kConfigMap, {name_space, "a-copy"}).ok());
  EXPECT_TRUE(copy_is("2"));
}

TEST(Events, AreCountedAndNotRepeated) {
  const auto transport = Connect(Server().kubeconfig());
  Client client(*transport, SystemClock());
  const std::string name_space = MakeNamespace(client, "events");
  const absl::StatusOr<Json> about = client.Create(kConfigMap, ConfigMap(name_space, "about"));
  ASSERT_TRUE(about.ok()) << about.status();
  EventRecorder recorder(client, SystemClock(), {.controller = "splitft.io/test", .instance = "here"});
  const EventNote restarted{.warning = true, .reason = "WorkerRestarted", .action = "Restart", .note = "bank: killed"};
  recorder.Record(kConfigMap, *about, restarted);
  ASSERT_TRUE(recorder.Flush(SystemClock().Now() + kPatience));
  recorder.Record(kConfigMap, *about, restarted);
  recorder.Record(kConfigMap, *about, {.reason = "Complete", .action = "Finish", .note = "done"});
  ASSERT_TRUE(recorder.Flush(SystemClock().Now() + kPatience));
  const absl::StatusOr<std::vector<Json>> events = client.List(kEvent, {.name_space = name_space});
  ASSERT_TRUE(events.ok()) << events.status();
  ASSERT_EQ(events->size(), 2U);
  for (const Json& event : *events) {
    const bool is_restart = TextAt(event, {"reason"}) == "WorkerRestarted";
    EXPECT_EQ(IntegerAt(event, {"series", "count"}), is_restart ? 2 : 0);
    EXPECT_EQ(TextAt(event, {"type"}), is_restart ? "Warning" : "Normal");
    EXPECT_EQ(TextAt(event, {"regarding", "uid"}), UidOf(*about));
  }
}

}  // namespace
}  // namespace splitft::kube
