#include "aggregator/roster.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace splitft::aggregator {
namespace {

using ::testing::HasSubstr;

class RosterTest : public ::testing::Test {
 protected:
  RosterTest() : roster_(Job(), Layout(), identity_) {}

  static spec::FineTuneJob Job() {
    spec::FineTuneJob job;
    job.split.tail_blocks = 1;
    job.clients = {{.name = "bank", .cut_layer = 1, .batch_size = 2},
                   {.name = "hospital", .cut_layer = 2, .weight = 3}};
    return job;
  }
  static model::AdapterLayout Layout() {
    model::ModelConfig config;
    config.architecture = model::Architecture::kGpt2;
    config.hidden_size = 8;
    config.intermediate_size = 32;
    config.block_count = 4;
    config.head_count = config.key_value_head_count = 2;
    config.head_size = 4;
    return model::AdapterLayout::Create(config, {.rank = 2, .target_modules = {"c_attn"}}).value();
  }
  protocol::Hello GoodHello() const {
    return {.model_digest = 5,
            .adapter_elements = 256,
            .hidden_size = 8,
            .formats = {protocol::WireFormat::kFp32},
            .train_rows = 3};
  }

  const JobIdentity identity_{.model_digest = 5, .adapter_elements = 256, .hidden_size = 8};
  Roster roster_;
};

TEST_F(RosterTest, KnowsWhichAdaptersEachClientRuns) {
  const Member& bank = roster_.members()[0];
  const Member& hospital = roster_.members()[1];
  // c_attn of rank 2: A is 2 x 8, B is 24 x 2.
  EXPECT_EQ(bank.head_range.size, 64);
  EXPECT_EQ(hospital.head_range.size, 128);
  EXPECT_EQ(hospital.tail_range.begin, 192);
  EXPECT_EQ(hospital.tail_range.size, 64);
  EXPECT_EQ(hospital.weight, 3);
}

TEST_F(RosterTest, IsCompleteWhenEveryClientSaidHello) {
  ASSERT_TRUE(roster_.Admit(10, "hospital", GoodHello()).ok());
  EXPECT_FALSE(roster_.Complete());
  EXPECT_FALSE(roster_.Named("bank")->stream.has_value());
  ASSERT_TRUE(roster_.Admit(11, "bank", GoodHello()).ok());
  EXPECT_TRUE(roster_.Complete());
  EXPECT_EQ(roster_.Find(11)->name, "bank");
  EXPECT_EQ(roster_.Find(12), nullptr);
}

TEST_F(RosterTest, RefusesStrangersAndSecondComers) {
  EXPECT_EQ(roster_.Admit(1, "mallory", GoodHello()).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(roster_.Admit(1, "bank", GoodHello()).ok());
  EXPECT_EQ(roster_.Admit(2, "bank", GoodHello()).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(roster_.Find(1)->name, "bank");
}

TEST_F(RosterTest, AClientThatComesBackOnceTheJobHasBegunMustHaveTheDataItHad) {
  ASSERT_TRUE(roster_.Admit(1, "bank", GoodHello()).ok());
  protocol::Hello more = GoodHello();
  more.train_rows = 4;
  EXPECT_TRUE(roster_.Check("bank", more).ok()) << "before the first step nothing depends on it";
  roster_.Begin();
  roster_.Named("bank")->stream.reset();
  EXPECT_THAT(std::string(roster_.Admit(2, "bank", more).status().message()),
              HasSubstr("comes back with 4 rows to train on; the job began with 3: its data has changed"));
  protocol::Hello held_out = GoodHello();
  held_out.eval_batches = 1;
  EXPECT_EQ(roster_.Check("bank", held_out).code(), absl::StatusCode::kFailedPrecondition);
  const absl::StatusOr<Member*> back = roster_.Admit(3, "bank", GoodHello());
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ((*back)->joins, 2);
  EXPECT_EQ(roster_.Find(3)->name, "bank");
}

TEST_F(RosterTest, RefusesWhoseJobDiffersNamingWhat) {
  const auto refusal = [&](auto change) {
    protocol::Hello hello = GoodHello();
    change(hello);
    const absl::Status status = roster_.Admit(1, "bank", hello).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    return std::string(status.message());
  };
  EXPECT_THAT(refusal([](protocol::Hello& h) { h.protocol_version = 99; }),
              HasSubstr("protocol version 99; this job's is 3"));
  EXPECT_THAT(refusal([](protocol::Hello& h) { h.model_digest = 6; }),
              HasSubstr("config.json has digest 6; this job's is 5"));
  EXPECT_THAT(refusal([](protocol::Hello& h) { h.hidden_size = 16; }), HasSubstr("hidden size 16; this job's is 8"));
  EXPECT_THAT(refusal([](protocol::Hello& h) { h.adapter_elements = 1; }),
              HasSubstr("adapters of size 1; this job's is 256"));
  EXPECT_THAT(refusal([](protocol::Hello& h) { h.formats.clear(); }), HasSubstr("cannot decode fp32"));
  EXPECT_THAT(refusal([](protocol::Hello& h) { h.train_rows = 0; }), HasSubstr("no sample to train on"));
}

}  // namespace
}  // namespace splitft::aggregator
