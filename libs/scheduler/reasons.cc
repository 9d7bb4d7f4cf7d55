#include "libs/scheduler/reasons.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace splitft::scheduler {
namespace {

// Of a step; less is no reason.
constexpr double kFeltThrottling = 0.1;

// Two significant digits.
std::string Digits(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), value >= 10 ? "%.0f" : "%.2g", value);
  return text;
}

double MedianForward(const Fleet& fleet) {
  std::vector<double> seconds;
  for (const ClientCost& client : fleet.clients) {
    seconds.push_back(client.forward_seconds);
  }
  const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>((seconds.size() - 1) / 2);
  std::nth_element(seconds.begin(), middle, seconds.end());
  return *middle;
}

}  // namespace

std::string CodecText(spec::Codec codec) {
  switch (codec) {
    case spec::Codec::kBf16:
      return "bf16";
    case spec::Codec::kInt8:
      return "int8";
    case spec::Codec::kInt4:
      return "int4";
    case spec::Codec::kAuto:
    case spec::Codec::kFp32:
      return "fp32";
  }
  return "fp32";
}

std::string BandwidthText(double bytes_per_second) {
  if (bytes_per_second <= 0) {
    return "unlimited";
  }
  constexpr const char* kUnits[] = {"B/s", "kB/s", "MB/s", "GB/s", "TB/s"};
  size_t unit = 0;
  for (; bytes_per_second >= 1000 && unit + 1 < std::size(kUnits); ++unit) {
    bytes_per_second /= 1000;
  }
  return absl::StrCat(Digits(bytes_per_second), " ", kUnits[unit]);
}

Reasons::Reasons(const Fleet& fleet) : fleet_(fleet), median_forward_seconds_(MedianForward(fleet)) {}

// What the client's processor takes for a block, and what the aggregator does.
std::string Reasons::OfCut(const ClientCost& client, int from, int to) const {
  const double ratio = median_forward_seconds_ > 0 ? client.forward_seconds / median_forward_seconds_ : 1;
  const double server =
      static_cast<double>(client.tokens) * (fleet_.server.forward_seconds + fleet_.server.backward_seconds);
  std::string text = absl::StrCat("forward ", Digits(client.forward_seconds), " s/block");
  if (ratio >= 1.15) {
    absl::StrAppend(&text, ", ", Digits(ratio), " times the median");
  } else if (ratio <= 0.87) {
    absl::StrAppend(&text, ", ", Digits(1 / ratio), " times as fast as the median");
  }
  if (client.throttled >= kFeltThrottling) {
    absl::StrAppend(&text, ", held back by its CPU limit ", Digits(100 * client.throttled), " % of a step");
  }
  absl::StrAppend(&text, to > from ? ", time to spare" : "", ": cut ", from, " -> ", to);
  absl::StrAppend(&text, to > from ? ", the aggregator saves " : ", the aggregator takes over ",
                  Digits(server * std::abs(to - from)), " s");
  return text;
}

std::string Reasons::Of(size_t client, const Choice& from, const Choice& to) const {
  const ClientCost& cost = fleet_.clients[client];
  std::vector<std::string> parts;
  if (from.codec != to.codec) {
    const Link& link = cost.link;
    const bool up = link.up_bytes_per_second > 0 &&
                    (link.down_bytes_per_second == 0 || link.up_bytes_per_second <= link.down_bytes_per_second);
    const bool leaner = RowBytes(to.codec, fleet_.hidden_size) < RowBytes(from.codec, fleet_.hidden_size);
    parts.push_back(absl::StrCat(
        up ? "uplink " : "downlink ", BandwidthText(up ? link.up_bytes_per_second : link.down_bytes_per_second),
        leaner ? " saturated: " : " has room: ", CodecText(from.codec), " -> ", CodecText(to.codec)));
  }
  if (from.cut_layer != to.cut_layer) {
    parts.push_back(OfCut(cost, from.cut_layer, to.cut_layer));
  }
  return absl::StrJoin(parts, "; ");
}

std::string Reasons::OfMicrobatches(const Arrangement& now, int to) const {
  const int from = now.microbatches;
  const std::string change = absl::StrCat("microbatches ", from, " -> ", to);
  if (to < from) {
    return absl::StrCat("no slower when it was measured: ", change);
  }
  // Of infinitely many, the step is what the busiest does, and what does not overlap.
  constexpr int kMany = 1 << 20;
  Arrangement many = now;
  many.microbatches = kMany;
  const double waiting = 1 - Predict(fleet_, many).seconds / Predict(fleet_, now).seconds;
  return absl::StrCat("clients, wires and aggregator wait for one another ", Digits(100 * waiting),
                      " % of a step: ", change);
}

}  // namespace splitft::scheduler
