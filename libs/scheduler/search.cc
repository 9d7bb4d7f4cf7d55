// The makespan is a sum of maxima: up = max of the clients' first stages, back = max of their last, and so on. Whoever
// fixes the maxima has fixed everything: each client takes the greatest cut that keeps it below them, since a block at
// a client is one less for the aggregator. So the search is over three limits, not over a cut for each client. With
// cuts that need not be whole the step is convex in the limits, so that golden sections find its minimum.

#include "libs/scheduler/search.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace splitft::scheduler {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kCodecSlack = 0.01;
constexpr double kMostExactWork = 3e6;  // client evaluations of an exhaustive search
constexpr double kLeastSlope = 1e-15;   // a block that takes less takes nothing
constexpr int kSections = 12;           // of a golden section: the interval shrinks to 1/320, and the best is polished

// Seconds as a function of the cut.
class Line {
 public:
  Line() = default;
  Line(double at_zero, double per_block)
      : at_zero_(at_zero), per_block_(per_block), blocks_per_second_(per_block > kLeastSlope ? 1 / per_block : 0) {}

  double At(double cut) const { return at_zero_ + per_block_ * cut; }
  // The greatest cut whose value is at most `limit`.
  double Reach(double limit) const {
    const double room = limit * (1 + 1e-9) - at_zero_;
    return blocks_per_second_ > 0 ? room * blocks_per_second_ : (room >= 0 ? kNever : -kNever);
  }

 private:
  double at_zero_ = 0;
  double per_block_ = 0;
  double blocks_per_second_ = 0;  // a search divides by per_block thousands of times
};

struct Lines {
  Line up;
  Line back;
  Line compute;
  double server_seconds = 0;  // of one block of this client's at the aggregator
  double lowest = 1;
  double highest = 1;
};

// What no client may exceed.
struct Limits {
  double up = kNever;
  double back = kNever;
  double compute = kNever;
};

struct Outcome {
  double seconds = kNever;
  double server_seconds = kNever;
};

// A fleet under one codec for everybody: how the step depends on the limits.
class Search {
 public:
  Search(const Fleet& fleet, std::span<const spec::Codec> codecs, int microbatches)
      : fleet_(fleet), parts_(microbatches) {
    for (const ClientCost& client : fleet.clients) {
      const spec::Codec codec = Leanest(codecs, fleet.hidden_size);
      const ClientStages zero = StagesOf(fleet, client, {.cut_layer = 0, .codec = codec});
      const ClientStages one = StagesOf(fleet, client, {.cut_layer = 1, .codec = codec});
      const auto line = [&](auto value) { return Line(value(zero), value(one) - value(zero)); };
      Lines lines;
      lines.up = line([&](const ClientStages& s) { return s.up.fixed + s.up.batch / parts_; });
      lines.back = line([&](const ClientStages& s) { return s.back.fixed + s.back.batch / parts_; });
      lines.compute = line([](const ClientStages& s) { return s.compute; });
      lines.server_seconds =
          static_cast<double>(client.tokens) * (fleet.server.forward_seconds + fleet.server.backward_seconds);
      lines.lowest = client.lowest_cut;
      lines.highest = std::max(client.lowest_cut, client.highest_cut);
      lines_.push_back(lines);
      tail_ = std::max(tail_, zero.tail.fixed + zero.tail.batch / parts_);
      links_ = std::max({links_, zero.uplink, zero.downlink});
    }
    for (const Lines& client : lines_) {
      least_.up = std::max(Floor(least_.up), client.up.At(client.lowest));
      least_.back = std::max(Floor(least_.back), client.back.At(client.lowest));
      least_.compute = std::max(Floor(least_.compute), client.compute.At(client.lowest));
      most_.up = std::max(Floor(most_.up), client.up.At(client.highest));
      most_.back = std::max(Floor(most_.back), client.back.At(client.highest));
      most_.compute = std::max(Floor(most_.compute), client.compute.At(client.highest));
    }
  }

  // The limits of the best outcome, by `worth`: the less, the better.
  Limits Best(const std::function<double(const Outcome&)>& worth) const {
    const auto clients = static_cast<double>(lines_.size());
    const double cuts = std::accumulate(lines_.begin(), lines_.end(), 0.0, [](double sum, const Lines& client) {
      return sum + client.highest - client.lowest + 1;
    });
    const double third = parts_ > 1 ? cuts : 1;
    return cuts * cuts * third * clients <= kMostExactWork ? BestOfAll(worth) : BestOfMany(worth);
  }

  // The cuts under `limits`.
  std::vector<int> Cuts(const Limits& limits) const {
    std::vector<int> cuts;
    for (const Lines& client : lines_) {
      cuts.push_back(static_cast<int>(std::max(client.lowest, std::floor(CutUnder(client, limits)))));
    }
    return cuts;
  }

 private:
  static spec::Codec Leanest(std::span<const spec::Codec> codecs, int64_t hidden_size) {
    return *std::min_element(codecs.begin(), codecs.end(), [&](spec::Codec a, spec::Codec b) {
      return RowBytes(a, hidden_size) < RowBytes(b, hidden_size);
    });
  }
  static double Floor(double limit) { return limit == kNever ? 0 : limit; }

  static double CutUnder(const Lines& client, const Limits& limits) {
    return std::min({client.highest, client.up.Reach(limits.up), client.back.Reach(limits.back),
                     client.compute.Reach(limits.compute)});
  }

  // What comes of `limits`, which let every client have its lowest cut. `whole`: with cuts as they are, else as if they
  // need not be whole.
  Outcome Try(const Limits& limits, bool whole) const {
    double up = 0;
    double back = 0;
    double compute = 0;
    double server = 0;
    for (const Lines& client : lines_) {
      double cut = CutUnder(client, limits);
      cut = std::max(client.lowest, whole ? std::floor(cut) : cut);
      up = std::max(up, client.up.At(cut));
      back = std::max(back, client.back.At(cut));
      compute = std::max(compute, client.compute.At(cut));
      server += client.server_seconds * (fleet_.trunk_end - cut);
    }
    const double busiest = std::max({compute, links_, server});
    return {
        .seconds = up + tail_ + back + server / parts_ + (parts_ - 1) / parts_ * busiest + fleet_.server.other_seconds,
        .server_seconds = server};
  }

  // Every limit that some client at some cut would just meet, in every combination.
  Limits BestOfAll(const std::function<double(const Outcome&)>& worth) const {
    const auto candidates = [&](Line Lines::*line, double least) {
      std::vector<double> values;
      for (const Lines& client : lines_) {
        for (double cut = client.lowest; cut <= client.highest; ++cut) {
          if (const double value = (client.*line).At(cut); value >= least) {
            values.push_back(value);
          }
        }
      }
      std::sort(values.begin(), values.end());
      values.erase(std::unique(values.begin(), values.end()), values.end());
      return values;
    };
    const std::vector<double> computes =
        parts_ > 1 ? candidates(&Lines::compute, least_.compute) : std::vector<double>{kNever};
    const std::vector<double> backs = candidates(&Lines::back, least_.back);
    Limits best = least_;
    double least = kNever;
    for (const double up : candidates(&Lines::up, least_.up)) {
      for (const double back : backs) {
        for (const double compute : computes) {
          const Limits limits{up, back, compute};
          if (const double found = worth(Try(limits, /*whole=*/true)); found < least) {
            least = found;
            best = limits;
          }
        }
      }
    }
    return best;
  }

  // Where `value` is least between the two, by golden sections.
  static double GoldenSection(double low, double high, const std::function<double(double)>& value) {
    constexpr double kRatio = 0.6180339887498949;
    double a = high - kRatio * (high - low);
    double b = low + kRatio * (high - low);
    double at_a = value(a);
    double at_b = value(b);
    for (int i = 0; i < kSections; ++i) {
      if (at_a <= at_b) {
        high = b;
        b = a;
        at_b = at_a;
        a = high - kRatio * (high - low);
        at_a = value(a);
      } else {
        low = a;
        a = b;
        at_a = at_b;
        b = low + kRatio * (high - low);
        at_b = value(b);
      }
    }
    return at_a <= at_b ? a : b;
  }

  Limits BestOfMany(const std::function<double(const Outcome&)>& worth) const {
    Limits best = most_;
    const auto with_back = [&](double up) {
      best.up = up;
      best.back = GoldenSection(least_.back, most_.back, [&](double back) {
        return worth(Try({up, back, best.compute}, /*whole=*/false));
      });
      return worth(Try(best, /*whole=*/false));
    };
    best.up = GoldenSection(least_.up, most_.up, with_back);
    with_back(best.up);
    if (parts_ > 1) {  // by turns, since each moves where the others are best
      for (int turn = 0; turn < 2; ++turn) {
        best.compute = GoldenSection(least_.compute, most_.compute, [&](double compute) {
          return worth(Try({best.up, best.back, compute}, /*whole=*/false));
        });
        best.up = GoldenSection(least_.up, most_.up, [&](double up) {
          return worth(Try({up, best.back, best.compute}, /*whole=*/false));
        });
        best.back = GoldenSection(least_.back, most_.back, [&](double back) {
          return worth(Try({best.up, back, best.compute}, /*whole=*/false));
        });
      }
    }
    return Polished(best, worth);
  }

  // Whole cuts are a staircase: the best step is near the smooth one's minimum, not at it.
  Limits Polished(Limits best, const std::function<double(const Outcome&)>& worth) const {
    double least = worth(Try(best, /*whole=*/true));
    const auto improve = [&](double Limits::*limit) {
      const double centre = best.*limit;
      for (double factor = 0.8; factor <= 1.25; factor += 0.02) {
        Limits limits = best;
        limits.*limit = std::max(least_.*limit, centre * factor);
        if (const double found = worth(Try(limits, /*whole=*/true)); found < least) {
          least = found;
          best = limits;
        }
      }
    };
    for (int round = 0; round < 2; ++round) {
      improve(&Limits::up);
      improve(&Limits::back);
      if (parts_ > 1) {
        improve(&Limits::compute);
      }
    }
    return best;
  }

  const Fleet& fleet_;
  const double parts_;
  std::vector<Lines> lines_;
  double tail_ = 0;
  double links_ = 0;
  Limits least_;  // so that every client may have its lowest cut
  Limits most_;   // its highest
};

// The maxima of a step, each stretched so that together they grow by `slack` of the step.
struct Maxima {
  double parts = 1;
  double up = 0;
  double tail = 0;
  double back = 0;
  double busiest = 0;

  bool Hold(const ClientStages& stages) const {
    return stages.up.fixed + stages.up.batch / parts <= up && stages.tail.fixed + stages.tail.batch / parts <= tail &&
           stages.back.fixed + stages.back.batch / parts <= back &&
           (parts == 1 || std::max({stages.compute, stages.uplink, stages.downlink}) <= busiest);
  }
};

Maxima MaximaOf(const Fleet& fleet, const Arrangement& arrangement, double slack) {
  const double parts = arrangement.microbatches;
  const Prediction prediction = Predict(fleet, arrangement);
  Maxima maxima{.parts = parts, .busiest = prediction.server_seconds};
  for (size_t i = 0; i < arrangement.clients.size(); ++i) {
    const ClientStages stages = StagesOf(fleet, fleet.clients[i], arrangement.clients[i]);
    maxima.up = std::max(maxima.up, stages.up.fixed + stages.up.batch / parts);
    maxima.tail = std::max(maxima.tail, stages.tail.fixed + stages.tail.batch / parts);
    maxima.back = std::max(maxima.back, stages.back.fixed + stages.back.batch / parts);
    maxima.busiest = std::max({maxima.busiest, stages.compute, stages.uplink, stages.downlink});
  }
  const double share = slack * prediction.seconds / (parts > 1 ? 4 : 3);
  maxima.up += share;
  maxima.tail += share;
  maxima.back += share;
  maxima.busiest += parts > 1 ? share * parts / (parts - 1) : 0;
  return maxima;
}

// The cuts of `limits`, and for each client the most exact codec that keeps the step as short.
Arrangement WithCodecs(const Fleet& fleet, std::span<const spec::Codec> codecs, const std::vector<int>& cuts,
                       int microbatches) {
  const spec::Codec leanest = *std::min_element(codecs.begin(), codecs.end(), [&](spec::Codec a, spec::Codec b) {
    return RowBytes(a, fleet.hidden_size) < RowBytes(b, fleet.hidden_size);
  });
  Arrangement arrangement{.clients = {}, .microbatches = microbatches};
  for (const int cut : cuts) {
    arrangement.clients.push_back({.cut_layer = cut, .codec = leanest});
  }
  const Maxima maxima = MaximaOf(fleet, arrangement, codecs.size() > 1 ? kCodecSlack : 0);
  for (size_t i = 0; i < cuts.size(); ++i) {
    for (const spec::Codec codec : codecs) {
      const Choice choice{.cut_layer = cuts[i], .codec = codec};
      if (codec == leanest || maxima.Hold(StagesOf(fleet, fleet.clients[i], choice))) {
        arrangement.clients[i] = choice;
        break;
      }
    }
  }
  return arrangement;
}

}  // namespace

Arrangement LeastSeconds(const Fleet& fleet, std::span<const spec::Codec> codecs, int microbatches) {
  const Search search(fleet, codecs, microbatches);
  const std::vector<int> cuts = search.Cuts(search.Best([](const Outcome& outcome) { return outcome.seconds; }));
  return WithCodecs(fleet, codecs, cuts, microbatches);
}

Arrangement LeastServerSeconds(const Fleet& fleet, std::span<const spec::Codec> codecs, int microbatches,
                               double seconds) {
  const Search search(fleet, codecs, microbatches);
  // Whatever is too slow is worse than whatever is not.
  const Arrangement shortest = LeastSeconds(fleet, codecs, microbatches);
  const double too_slow = 1e3 * (1 + Predict(fleet, shortest).server_seconds);
  const std::vector<int> cuts = search.Cuts(search.Best([&](const Outcome& outcome) {
    return outcome.server_seconds + (outcome.seconds > seconds ? too_slow * (1 + outcome.seconds - seconds) : 0);
  }));
  Arrangement least = WithCodecs(fleet, codecs, cuts, microbatches);
  return Predict(fleet, least).seconds <= seconds * (1 + kCodecSlack) ? least : shortest;
}

int FewestMicrobatches(const Fleet& fleet, Arrangement arrangement, int now, double seconds) {
  const auto will_do = [&](int microbatches) {
    arrangement.microbatches = microbatches;
    return microbatches <= fleet.most_microbatches && Predict(fleet, arrangement).seconds <= seconds;
  };
  if (will_do(now)) {
    return now;
  }
  for (int fewest = 1; fewest < fleet.most_microbatches; ++fewest) {
    if (fleet.smallest_batch % fewest == 0 && will_do(fewest)) {
      return fewest;
    }
  }
  return fleet.most_microbatches;
}

Arrangement KeepWhatMayStay(const Fleet& fleet, const Arrangement& now, Arrangement best, double slack) {
  const Prediction prediction = Predict(fleet, best);
  const Maxima maxima = MaximaOf(fleet, best, slack / 2);
  const double per_token = fleet.server.forward_seconds + fleet.server.backward_seconds;
  // What it costs the aggregator that a client stays as it is.
  const auto cost = [&](size_t i) {
    return static_cast<double>(fleet.clients[i].tokens) * per_token *
           (best.clients[i].cut_layer - now.clients[i].cut_layer);
  };
  std::vector<size_t> may_stay;
  for (size_t i = 0; i < best.clients.size(); ++i) {
    const ClientCost& client = fleet.clients[i];
    const Choice& choice = now.clients[i];
    const bool allowed = choice.cut_layer >= client.lowest_cut && choice.cut_layer <= client.highest_cut;
    if (!(choice == best.clients[i]) && allowed && maxima.Hold(StagesOf(fleet, client, choice))) {
      may_stay.push_back(i);
    }
  }
  std::sort(may_stay.begin(), may_stay.end(), [&](size_t a, size_t b) { return cost(a) < cost(b); });
  double left = slack / 2 * prediction.seconds;
  for (const size_t client : may_stay) {
    if (cost(client) > left) {
      break;
    }
    left -= std::max(0.0, cost(client));
    best.clients[client] = now.clients[client];
  }
  return best;
}

}  // namespace splitft::scheduler
