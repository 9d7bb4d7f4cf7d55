// The hub against aggregators' streams over gRPC.

#include "operator/progress_hub.h"

#include <gmock/gmock.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/proto/control.grpc.pb.h"
#include "libs/base/mutex.h"
#include "tests/support/job_samples.h"
#include "tests/support/training_event.h"

namespace splitft::controller {
namespace {

using std::chrono::milliseconds;

// An aggregator that says one thing to whoever comes, and stays silent then, or ends the stream.
class Aggregator final : public control::Control::CallbackService {
 public:
  Aggregator(control::Phase phase, int64_t step, bool ends, int port = 0) : ends_(ends), port_(port) {
    event_.set_phase(phase);
    event_.set_step(step);
    event_.set_total_steps(100);
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address(), grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~Aggregator() override { server_->Shutdown(gpr_inf_past(GPR_CLOCK_REALTIME)); }

  int port() const { return port_; }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  int calls() const { return calls_; }
  int open() const { return open_; }
  bool asked_for_job() const { return asked_for_job_; }

  grpc::ServerWriteReactor<control::JobEvent>* Watch(grpc::CallbackServerContext* /*context*/,
                                                     const control::WatchRequest* request) override {
    ++calls_;
    asked_for_job_ = request->job_uid() == "job-uid";
    return new Watcher(*this);
  }

 private:
  // gRPC owns its life: OnDone is the last call.
  class Watcher final : public grpc::ServerWriteReactor<control::JobEvent> {
   public:
    explicit Watcher(Aggregator& aggregator) : aggregator_(aggregator) {
      ++aggregator_.open_;
      aggregator_.ends_ ? StartWriteAndFinish(&aggregator_.event_, {}, grpc::Status::OK)
                        : StartWrite(&aggregator_.event_);
    }
    void OnCancel() override {
      if (!aggregator_.ends_) {
        Finish(grpc::Status::CANCELLED);
      }
    }
    void OnDone() override {
      --aggregator_.open_;
      delete this;
    }

   private:
    Aggregator& aggregator_;
  };

  control::JobEvent event_;
  const bool ends_;
  int port_;
  std::atomic<int> calls_ = 0;
  std::atomic<int> open_ = 0;
  std::atomic<bool> asked_for_job_ = false;
  std::unique_ptr<grpc::Server> server_;
};

bool Eventually(const std::function<bool()>& condition) {
  const TimePoint deadline = SystemClock().Now() + std::chrono::seconds(20);
  while (!condition() && SystemClock().Now() < deadline) {
    SystemClock().SleepFor(milliseconds(5));
  }
  return condition();
}

class Hub : public testing::Test {
 protected:
  int64_t Step(const std::string& pod_uid = "uid") const {
    const std::optional<ProgressView> view = hub_->Get(kJob, pod_uid);
    return view.has_value() ? view->step : -1;
  }

  const kube::ObjectKey kJob{"lab", "job"};
  std::atomic<int> heard_ = 0;
  std::unique_ptr<ProgressHub> hub_ = MakeHub(ProgressHub::Figures::kOfEvents);
  std::unique_ptr<ProgressHub> MakeHub(ProgressHub::Figures figures) {
    return std::make_unique<ProgressHub>(SystemClock(), figures, [this](const kube::ObjectKey& job, bool /*news*/) {
      EXPECT_EQ(job, kJob);
      ++heard_;
    });
  }
};

TEST_F(Hub, KnowsWhatAnAggregatorSaidLast) {
  const Aggregator aggregator(control::TRAINING, 7, false);
  EXPECT_EQ(Step(), -1);
  hub_->Follow(kJob, {"job-uid", "uid", aggregator.address()});
  hub_->Follow(kJob, {"job-uid", "uid", aggregator.address()});
  EXPECT_TRUE(Eventually([&] { return Step() == 7; }));
  EXPECT_TRUE(Eventually([&] { return heard_ == 1; }));
  EXPECT_EQ(Step("another"), -1);
  EXPECT_EQ(aggregator.calls(), 1);
  EXPECT_TRUE(aggregator.asked_for_job());
  hub_->Forget(kJob);
  EXPECT_EQ(Step(), -1);
  EXPECT_TRUE(Eventually([&] { return aggregator.open() == 0; }));
}

TEST_F(Hub, AnotherPodTakesTheJobOver) {
  const Aggregator first(control::TRAINING, 7, false);
  const Aggregator second(control::TRAINING, 1, false);
  hub_->Follow(kJob, {"job-uid", "uid", first.address()});
  ASSERT_TRUE(Eventually([&] { return Step() == 7; }));
  hub_->Follow(kJob, {"job-uid", "next", second.address()});
  EXPECT_TRUE(Eventually([&] { return Step("next") == 1; }));
  EXPECT_EQ(Step(), -1);
  EXPECT_TRUE(Eventually([&] { return first.open() == 0; }));
}

TEST_F(Hub, AStreamThatBreaksIsOpenedAgain) {
  auto aggregator = std::make_unique<Aggregator>(control::TRAINING, 7, false);
  const int port = aggregator->port();
  hub_->Follow(kJob, {"job-uid", "uid", aggregator->address()});
  ASSERT_TRUE(Eventually([&] { return Step() == 7; }));
  aggregator.reset();
  aggregator = std::make_unique<Aggregator>(control::TRAINING, 8, false, port);
  EXPECT_TRUE(Eventually([&] { return Step() == 8; }));
}

TEST_F(Hub, AJobThatHasEndedIsNotAskedAgain) {
  const Aggregator ended(control::COMPLETED, 100, true);
  const Aggregator training(control::TRAINING, 7, true);
  hub_->Follow(kJob, {"job-uid", "uid", ended.address()});
  ASSERT_TRUE(Eventually([&] { return Step() == 100; }));
  ProgressHub other(SystemClock(), ProgressHub::Figures::kOfEvents, [](const kube::ObjectKey&, bool) {});
  other.Follow(kJob, {"job-uid", "uid", training.address()});
  EXPECT_TRUE(Eventually([&] { return training.calls() == 2; }));
  EXPECT_EQ(ended.calls(), 1);
}

// Whatever its streams do: wait for an address where nobody is, have just ended, pause, or are read.
TEST_F(Hub, EndsAtOnce) {
  const Aggregator silent(control::TRAINING, 7, false);
  const Aggregator brief(control::TRAINING, 7, true);
  for (const int pause_ms : {0, 5, 100}) {
    ProgressHub hub(SystemClock(), ProgressHub::Figures::kOfEvents, [](const kube::ObjectKey&, bool) {});
    for (int i = 0; i < 10; ++i) {
      hub.Follow({"lab", absl::StrCat("nobody", i)}, {"job-uid", "uid", "127.0.0.1:1"});
      hub.Follow({"lab", absl::StrCat("silent", i)}, {"job-uid", "uid", silent.address()});
      hub.Follow({"lab", absl::StrCat("brief", i)}, {"job-uid", "uid", brief.address()});
    }
    SystemClock().SleepFor(milliseconds(pause_ms));
    hub.Forget({"lab", "nobody0"});
    hub.Forget({"lab", "brief0"});
  }
  EXPECT_TRUE(Eventually([&] { return silent.open() == 0; }));
}

// An aggregator whose job trains on and on, whatever it is told.
class TrainingAggregator final : public control::Control::CallbackService {
 public:
  explicit TrainingAggregator(bool accepts) : accepts_(accepts) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~TrainingAggregator() override { server_->Shutdown(gpr_inf_past(GPR_CLOCK_REALTIME)); }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }
  std::vector<control::Plan> plans() {
    const MutexLock lock(mutex_);
    return plans_;
  }

  grpc::ServerWriteReactor<control::JobEvent>* Watch(grpc::CallbackServerContext* /*context*/,
                                                     const control::WatchRequest* /*request*/) override {
    return new Watcher(steps_);
  }
  grpc::ServerUnaryReactor* Apply(grpc::CallbackServerContext* context, const control::Plan* plan,
                                  control::PlanAccepted* /*accepted*/) override {
    const MutexLock lock(mutex_);
    plans_.push_back(*plan);
    auto* reactor = context->DefaultReactor();
    reactor->Finish(accepts_ ? grpc::Status::OK : grpc::Status(grpc::StatusCode::UNAVAILABLE, "not now"));
    return reactor;
  }

 private:
  class Watcher final : public grpc::ServerWriteReactor<control::JobEvent> {
   public:
    explicit Watcher(std::atomic<int64_t>& steps) : steps_(steps) { Next(); }
    // It comes to its end now and then, and is opened again: the job goes on.
    void OnWriteDone(bool ok) override { ok&& steps_ % 40 != 0 ? Next() : Finish(grpc::Status::CANCELLED); }
    void OnDone() override { delete this; }

   private:
    void Next() {
      event_ = TrainingEvent(++steps_);
      StartWrite(&event_);
    }
    std::atomic<int64_t>& steps_;
    control::JobEvent event_;
  };

  const bool accepts_;
  std::atomic<int64_t> steps_ = 0;
  int port_ = 0;
  Mutex mutex_;
  std::vector<control::Plan> plans_ SPLITFT_GUARDED_BY(mutex_);
  std::unique_ptr<grpc::Server> server_;
};

ProgressHub::Source SourceOf(const TrainingAggregator& aggregator, const spec::FineTuneJob& job) {
  return {.job_uid = "job-uid",
          .pod_uid = "uid",
          .address = aggregator.address(),
          .job = std::make_shared<const absl::StatusOr<spec::FineTuneJob>>(job),
          .first_plan = (uint64_t{7} << 32) + 1};
}

TEST_F(Hub, WhatTheSchedulerPlansReachesTheAggregatorMarkedWithTheLeadersTerm) {
  TrainingAggregator aggregator(/*accepts=*/true);
  hub_->Follow(kJob, SourceOf(aggregator, UnequalJob()));
  ASSERT_TRUE(Eventually([&] { return !aggregator.plans().empty(); }));
  const control::Plan plan = aggregator.plans().front();
  EXPECT_EQ(plan.job_uid(), "job-uid");
  EXPECT_EQ(plan.number(), (uint64_t{7} << 32) + 1);
  ASSERT_GE(plan.clients_size(), 1);
  EXPECT_NE(plan.clients(plan.clients_size() - 1).reason(), "");
}

TEST_F(Hub, APlanThatDidNotArriveIsMadeAgain) {
  TrainingAggregator aggregator(/*accepts=*/false);
  hub_->Follow(kJob, SourceOf(aggregator, UnequalJob()));
  ASSERT_TRUE(Eventually([&] { return aggregator.plans().size() >= 2; }));
  EXPECT_LT(aggregator.plans()[0].number(), aggregator.plans()[1].number());
}

TEST_F(Hub, AStaticJobIsLeftAlone) {
  TrainingAggregator aggregator(/*accepts=*/true);
  spec::FineTuneJob job = UnequalJob();
  job.scheduling.policy = spec::SchedulingPolicy::kStatic;
  hub_->Follow(kJob, SourceOf(aggregator, job));
  ASSERT_TRUE(Eventually([&] { return Step() >= 40; }));
  EXPECT_TRUE(aggregator.plans().empty());
}

// Figures that are measured elsewhere, of the job as the hub last heard of it.
class Measured : public Hub {
 protected:
  Measured() { hub_ = MakeHub(ProgressHub::Figures::kMeasured); }

  std::string Unknown() const {
    const std::optional<ProgressView> view = hub_->Get(kJob, "uid");
    return view.has_value() ? view->unknown : "no view";
  }
  MeasuredJobs JobsAt(int64_t step) const { return {{kJob, SamplesOf(TrainingEvent(step))}}; }
};

TEST_F(Measured, APlanComesOfThemAndNotOfEvents) {
  TrainingAggregator aggregator(/*accepts=*/true);
  hub_->Follow(kJob, SourceOf(aggregator, UnequalJob()));
  EXPECT_TRUE(hub_->PlansAny());
  ASSERT_TRUE(Eventually([&] { return Step() >= 40; }));
  EXPECT_TRUE(aggregator.plans().empty());
  ASSERT_TRUE(Eventually([&] {
    hub_->Measured(JobsAt(Step()));
    return !aggregator.plans().empty();
  }));
  EXPECT_EQ(Unknown(), "");
}

TEST_F(Measured, WhatIsMissingOrOldIsSaidAndComesRightAgain) {
  TrainingAggregator aggregator(/*accepts=*/true);
  hub_->Follow(kJob, SourceOf(aggregator, UnequalJob()));
  ASSERT_TRUE(Eventually([&] { return Step() >= 10; }));
  const int64_t step = Step();
  hub_->Measured(absl::UnavailableError("Prometheus did not answer"));
  EXPECT_EQ(Unknown(), "Prometheus did not answer");
  hub_->Measured(MeasuredJobs{});
  EXPECT_EQ(Unknown(), "Prometheus has no series of this job");
  hub_->Measured(JobsAt(step + 1'000'000));
  EXPECT_THAT(Unknown(), testing::HasSubstr("of step 1000"));
  ASSERT_TRUE(Eventually([&] { return Step() > step; }));
  for (int i = 0; i < 3; ++i) {
    hub_->Measured(JobsAt(step));
    EXPECT_EQ(Unknown(), "");
  }
  hub_->Measured(JobsAt(step));
  EXPECT_THAT(Unknown(), testing::HasSubstr(absl::StrCat("of step ", step, "; the job has done ")));
  hub_->Measured(JobsAt(Step()));
  EXPECT_EQ(Unknown(), "");
}

}  // namespace
}  // namespace splitft::controller
