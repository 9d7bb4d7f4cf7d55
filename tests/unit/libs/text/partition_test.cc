#include "libs/text/partition.h"

#include <cmath>
#include <numeric>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "libs/text/dirichlet.h"

namespace splitft::text {
namespace {

using testing::DoubleNear;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<int64_t> UpTo(int64_t count) {
  std::vector<int64_t> lengths(static_cast<size_t>(count));
  std::iota(lengths.begin(), lengths.end(), 1);
  return lengths;
}

std::vector<int64_t> CountsOf(const Partition& partition, int clients) {
  std::vector<int64_t> counts(static_cast<size_t>(clients), 0);
  for (const int client : partition.client) {
    ++counts.at(static_cast<size_t>(client));
  }
  return counts;
}

std::string ErrorOf(int64_t records, const PartitionOptions& options) {
  return std::string(DivideRecords(UpTo(records), options).status().message());
}

TEST(Partition, IidGivesEveryClientTheSame) {
  EXPECT_THAT(CountsOf(*DivideRecords(UpTo(11), {.clients = 3, .seed = 1}), 3), ElementsAre(4, 4, 3));
}

TEST(Partition, BySizeGivesProportions) {
  const PartitionOptions options{.policy = PartitionPolicy::kBySize, .clients = 3, .proportions = {1, 2, 5}};
  EXPECT_THAT(CountsOf(*DivideRecords(UpTo(80), options), 3), ElementsAre(10, 20, 50));
}

TEST(Partition, IsAFunctionOfTheSeedAndMixesTheFile) {
  const std::vector<int64_t> lengths = UpTo(100);
  for (const PartitionPolicy policy : {PartitionPolicy::kIid, PartitionPolicy::kLengthDirichlet}) {
    const PartitionOptions options{.policy = policy, .clients = 2, .seed = 1};
    PartitionOptions other = options;
    other.seed = 2;
    EXPECT_EQ(DivideRecords(lengths, options)->client, DivideRecords(lengths, options)->client);
    EXPECT_NE(DivideRecords(lengths, options)->client, DivideRecords(lengths, other)->client);
    const std::vector<int> client = DivideRecords(lengths, options)->client;
    EXPECT_FALSE(std::is_sorted(client.begin(), client.end()));
  }
}

TEST(Partition, LengthClassesAreQuantiles) {
  const PartitionOptions options{.clients = 1, .length_classes = 4};
  EXPECT_THAT(DivideRecords(std::vector<int64_t>{80, 10, 20, 30, 40, 50, 60, 70}, options)->length_class,
              ElementsAre(3, 0, 0, 1, 1, 2, 2, 3));
  // Equal lengths share a class.
  EXPECT_THAT(DivideRecords(std::vector<int64_t>{5, 5, 5, 5}, options)->length_class, Each(3));
}

// The spread of one length class's shares over clients.
double Imbalance(double alpha) {
  const PartitionOptions options{
      .policy = PartitionPolicy::kLengthDirichlet, .clients = 4, .length_classes = 5, .alpha = alpha, .seed = 9};
  const std::vector<int64_t> lengths = UpTo(5000);
  const std::vector<ClientShare> shares = Summarize(*DivideRecords(lengths, options), lengths, lengths, options);
  double sum = 0;
  for (const ClientShare& share : shares) {
    for (const int64_t count : share.per_class) {
      sum += std::abs(static_cast<double>(count) / 1000.0 - 0.25);
    }
  }
  return sum;
}

TEST(Partition, SmallAlphaIsUnequalLargeIsNearlyIid) {
  EXPECT_GT(Imbalance(0.1), 4.0);
  EXPECT_LT(Imbalance(10000), 0.2);
}

TEST(Partition, TinyAlphaStillGivesEveryClientARecord) {
  const PartitionOptions options{
      .policy = PartitionPolicy::kLengthDirichlet, .clients = 3, .length_classes = 5, .alpha = 0.01, .seed = 4};
  EXPECT_THAT(CountsOf(*DivideRecords(UpTo(100), options), 3), Each(testing::Gt(0)));
  const PartitionOptions hopeless{
      .policy = PartitionPolicy::kLengthDirichlet, .clients = 50, .length_classes = 1, .alpha = 0.001};
  EXPECT_TRUE(absl::IsResourceExhausted(DivideRecords(UpTo(100), hopeless).status()));
}

TEST(Partition, OptionsOutOfRangeAreNamed) {
  EXPECT_THAT(ErrorOf(2, {.clients = 3}), HasSubstr("2 records cannot be divided over 3 clients"));
  EXPECT_THAT(ErrorOf(2, {.clients = 0}), HasSubstr("clients is 0"));
  EXPECT_THAT(ErrorOf(2, {.clients = 1, .length_classes = 0}), HasSubstr("length_classes is 0"));
  EXPECT_THAT(ErrorOf(2, {.policy = PartitionPolicy::kLengthDirichlet, .alpha = 0}), HasSubstr("alpha is 0"));
  EXPECT_THAT(ErrorOf(2, {.policy = PartitionPolicy::kBySize, .clients = 2, .proportions = {1}}),
              HasSubstr("1 proportions for 2 clients"));
  EXPECT_THAT(ErrorOf(2, {.policy = PartitionPolicy::kBySize, .clients = 2, .proportions = {1, -3}}), HasSubstr("-3"));
}

TEST(Partition, SummaryAddsUp) {
  const Partition partition{.client = {0, 1, 0, 0}, .length_class = {0, 1, 1, 0}};
  const std::vector<ClientShare> shares =
      Summarize(partition, std::vector<int64_t>{1, 7, 6, 2}, std::vector<int64_t>{10, 70, 60, 20},
                {.clients = 2, .length_classes = 2});
  EXPECT_EQ(shares[0].records, 3);
  EXPECT_EQ(shares[0].bytes, 90);
  EXPECT_DOUBLE_EQ(shares[0].mean_length, 3);
  EXPECT_DOUBLE_EQ(shares[0].median_length, 2);
  EXPECT_THAT(shares[0].per_class, ElementsAre(2, 1));
  EXPECT_DOUBLE_EQ(shares[1].median_length, 7);
}

// Moments of Dir(alpha): mean 1/n, variance (n - 1) / (n^2 (n alpha + 1)).
TEST(Dirichlet, HasTheMomentsOfTheDistribution) {
  constexpr int kDraws = 4000;
  constexpr double kCount = 4;
  for (const double alpha : {0.1, 1.0, 7.0}) {
    double sum = 0;
    double squares = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
      const std::vector<double> weights = SampleDirichlet(alpha, 4, {.seed = 1, .step = static_cast<uint64_t>(draw)});
      EXPECT_NEAR(std::accumulate(weights.begin(), weights.end(), 0.0), 1.0, 1e-12);
      sum += weights[1];
      squares += weights[1] * weights[1];
    }
    const double mean = sum / kDraws;
    const double variance = squares / kDraws - mean * mean;
    const double expected = (kCount - 1) / (kCount * kCount * (kCount * alpha + 1));
    EXPECT_THAT(mean, DoubleNear(1 / kCount, 4 * std::sqrt(expected / kDraws))) << alpha;
    EXPECT_THAT(variance, DoubleNear(expected, 0.1 * expected)) << alpha;
  }
}

TEST(Dirichlet, ApportionsByLargestRemainder) {
  EXPECT_THAT(Apportion(10, {1, 1, 1}), ElementsAre(4, 3, 3));
  EXPECT_THAT(Apportion(7, {0.6, 0.3, 0.1}), ElementsAre(4, 2, 1));
  EXPECT_THAT(Apportion(0, {1, 2}), ElementsAre(0, 0));
  EXPECT_THAT(Apportion(5, {0, 1}), ElementsAre(0, 5));
}

}  // namespace
}  // namespace splitft::text
