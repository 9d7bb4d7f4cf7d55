#include "libs/scheduler/search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "tests/support/fleets.h"

namespace splitft::scheduler {
namespace {

constexpr spec::Codec kAll[] = {spec::Codec::kFp32, spec::Codec::kBf16, spec::Codec::kInt8};
constexpr spec::Codec kExact[] = {spec::Codec::kFp32};

// The best of all choices, by trying every one, in the most microbatches.
class BruteForce {
 public:
  BruteForce(const Fleet& fleet, std::span<const spec::Codec> codecs) : fleet_(fleet), codecs_(codecs) {
    arrangement_.clients.resize(fleet.clients.size());
    arrangement_.microbatches = fleet.most_microbatches;
    Try(0);
  }
  double seconds() const { return seconds_; }
  // The least that the aggregator computes in a step of at most `limit`.
  static double ServerSeconds(const Fleet& fleet, std::span<const spec::Codec> codecs, double limit) {
    BruteForce search(fleet, codecs, limit);
    return search.server_seconds_;
  }

 private:
  BruteForce(const Fleet& fleet, std::span<const spec::Codec> codecs, double limit)
      : fleet_(fleet), codecs_(codecs), limit_(limit) {
    arrangement_.clients.resize(fleet.clients.size());
    arrangement_.microbatches = fleet.most_microbatches;
    Try(0);
  }
  void Try(size_t client) {
    if (client == arrangement_.clients.size()) {
      const Prediction prediction = Predict(fleet_, arrangement_);
      seconds_ = std::min(seconds_, prediction.seconds);
      if (prediction.seconds <= limit_) {
        server_seconds_ = std::min(server_seconds_, prediction.server_seconds);
      }
      return;
    }
    const ClientCost& cost = fleet_.clients[client];
    for (int cut = cost.lowest_cut; cut <= cost.highest_cut; ++cut) {
      for (const spec::Codec codec : codecs_) {
        arrangement_.clients[client] = {.cut_layer = cut, .codec = codec};
        Try(client + 1);
      }
    }
  }

  const Fleet& fleet_;
  std::span<const spec::Codec> codecs_;
  double limit_ = 0;
  Arrangement arrangement_;
  double seconds_ = std::numeric_limits<double>::infinity();
  double server_seconds_ = std::numeric_limits<double>::infinity();
};

Arrangement Shortest(const Fleet& fleet, std::span<const spec::Codec> codecs) {
  return LeastSeconds(fleet, codecs, fleet.most_microbatches);
}

void ExpectAllowed(const Fleet& fleet, const Arrangement& arrangement) {
  const std::vector<Choice>& choices = arrangement.clients;
  ASSERT_EQ(choices.size(), fleet.clients.size());
  for (size_t i = 0; i < choices.size(); ++i) {
    EXPECT_GE(choices[i].cut_layer, fleet.clients[i].lowest_cut);
    EXPECT_LE(choices[i].cut_layer, fleet.clients[i].highest_cut);
  }
}

TEST(LeastSeconds, IsWithinOnePercentOfTheBestOfAThousandSmallFleets) {
  double worst = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const Fleet fleet = RandomFleet(seed, 1 + static_cast<int>(seed % 3), 2 + static_cast<int>(seed % 5));
    const Arrangement found = Shortest(fleet, kAll);
    ExpectAllowed(fleet, found);
    const double ratio = Predict(fleet, found).seconds / BruteForce(fleet, kAll).seconds();
    worst = std::max(worst, ratio);
    ASSERT_LE(ratio, 1.01) << "seed " << seed;
  }
  RecordProperty("worst_ratio", std::to_string(worst));
}

TEST(LeastSeconds, IsExactWithOneCodec) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const Fleet fleet = RandomFleet(seed, 3, 6);
    ASSERT_NEAR(Predict(fleet, Shortest(fleet, kExact)).seconds, BruteForce(fleet, kExact).seconds(), 1e-9)
        << "seed " << seed;
  }
}

// Where every combination is too many, the search is by golden sections: no small change may do better.
TEST(LeastSeconds, OfManyClientsIsNotImprovedByMovingEverybodyOrAnybody) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Fleet fleet = RandomFleet(seed, 200, 32);
    const Arrangement found = Shortest(fleet, kExact);
    ExpectAllowed(fleet, found);
    const double seconds = Predict(fleet, found).seconds;
    for (const int step : {-2, -1, 1, 2}) {
      Arrangement moved = found;
      for (size_t i = 0; i < moved.clients.size(); ++i) {
        const ClientCost& client = fleet.clients[i];
        int& cut = moved.clients[i].cut_layer;
        cut = std::clamp(cut + step, client.lowest_cut, client.highest_cut);
        Arrangement one = found;
        one.clients[i] = moved.clients[i];
        ASSERT_GE(Predict(fleet, one).seconds, 0.99 * seconds) << "seed " << seed << ", client " << i;
      }
      ASSERT_GE(Predict(fleet, moved).seconds, 0.99 * seconds) << "seed " << seed << ", step " << step;
    }
  }
}

TEST(LeastSeconds, IsNoSlowerWithMoreBandwidth) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Fleet fleet = RandomFleet(seed, 3, 8);
    double before = std::numeric_limits<double>::infinity();
    for (int doubling = 0; doubling < 6; ++doubling) {
      const double seconds = Predict(fleet, Shortest(fleet, kExact)).seconds;
      ASSERT_LE(seconds, before * (1 + 1e-9)) << "seed " << seed << ", doubling " << doubling;
      before = seconds;
      Link& link = fleet.clients[seed % 3].link;
      link.up_bytes_per_second *= 2;
      link.down_bytes_per_second *= 2;
    }
  }
}

TEST(LeastSeconds, TakesTheCoarserCodecOnlyOfWhomTheStepWaitsFor) {
  const ClientCost fast = {.forward_seconds = 0.01,
                           .backward_seconds = 0.02,
                           .tail_seconds = 0.1,
                           .tokens = 512,
                           .link = {.up_bytes_per_second = 1.25e8, .down_bytes_per_second = 1.25e8},
                           .lowest_cut = 1,
                           .highest_cut = 4};
  ClientCost slow = fast;
  slow.link = {.up_bytes_per_second = 1e6, .down_bytes_per_second = 1e6};
  const Fleet fleet{.clients = {fast, slow},
                    .server = {.forward_seconds = 1e-6, .backward_seconds = 2e-6},
                    .trunk_end = 4,
                    .hidden_size = 768};
  const Arrangement found = Shortest(fleet, kAll);
  EXPECT_EQ(found.clients[0].codec, spec::Codec::kFp32);
  EXPECT_EQ(found.clients[1].codec, spec::Codec::kInt8);
}

TEST(LeastServerSeconds, IsTheLeastThatFitsTheTime) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const Fleet fleet = RandomFleet(seed, 3, 6);
    const double limit = 1.3 * BruteForce(fleet, kExact).seconds();
    const Prediction found = Predict(fleet, LeastServerSeconds(fleet, kExact, fleet.most_microbatches, limit));
    ASSERT_LE(found.seconds, limit * (1 + 1e-9)) << "seed " << seed;
    ASSERT_NEAR(found.server_seconds, BruteForce::ServerSeconds(fleet, kExact, limit), 1e-9) << "seed " << seed;
  }
}

TEST(LeastServerSeconds, IsTheShortestStepWhereNoneFits) {
  const Fleet fleet = RandomFleet(7, 3, 6);
  EXPECT_EQ(LeastServerSeconds(fleet, kExact, fleet.most_microbatches, 1e-6), Shortest(fleet, kExact));
}

TEST(FewestMicrobatches, AreNoMoreThanTheStepGainsFrom) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Fleet fleet = RandomFleet(seed, 3, 6);
    fleet.most_microbatches = 12;
    Arrangement arrangement = Shortest(fleet, kExact);
    const double limit = 1.05 * Predict(fleet, arrangement).seconds;
    const auto seconds = [&](int microbatches) {
      arrangement.microbatches = microbatches;
      return Predict(fleet, arrangement).seconds;
    };
    const int fewest = FewestMicrobatches(fleet, arrangement, 1, limit);
    EXPECT_LE(seconds(fewest), limit) << "seed " << seed;
    if (fewest > 1) {
      ASSERT_THAT(fewest, testing::AnyOf(2, 3, 4, 6, 12)) << "seed " << seed;
      EXPECT_GT(seconds(fewest == 12 ? 6 : fewest == 6 ? 4 : fewest - 1), limit) << "seed " << seed;
    }
    EXPECT_EQ(FewestMicrobatches(fleet, arrangement, 12, limit), 12) << "which will do as well";
    EXPECT_EQ(FewestMicrobatches(fleet, arrangement, 16, 1e9), 1) << "more than there may be";
    EXPECT_EQ(FewestMicrobatches(fleet, arrangement, 1, 1e-9), 12) << "nothing will do";
  }
}

TEST(KeepWhatMayStay, KeepsChoicesThatCostAlmostNothing) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const Fleet fleet = RandomFleet(seed, 4, 8);
    const Arrangement best = Shortest(fleet, kExact);
    Arrangement now{.clients = {}, .microbatches = fleet.most_microbatches};
    for (const ClientCost& client : fleet.clients) {
      now.clients.push_back({.cut_layer = client.lowest_cut, .codec = spec::Codec::kFp32});
    }
    const Arrangement kept = KeepWhatMayStay(fleet, now, best, 0.02);
    ExpectAllowed(fleet, kept);
    EXPECT_LE(Predict(fleet, kept).seconds, 1.02 * Predict(fleet, best).seconds) << "seed " << seed;
    EXPECT_EQ(KeepWhatMayStay(fleet, best, best, 0.02), best);
  }
}

}  // namespace
}  // namespace splitft::scheduler
