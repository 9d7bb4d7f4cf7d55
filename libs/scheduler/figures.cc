#include "libs/scheduler/figures.h"

#include <cmath>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace splitft::scheduler {
namespace {

struct Named {
  std::string_view name;
  double value = 0;
};

std::string WhatIsWrongWith(const ClientFigures& client) {
  const Named all[] = {{"head_forward_seconds", client.head_forward_seconds},
                       {"tail_seconds", client.tail_seconds},
                       {"head_backward_seconds", client.head_backward_seconds},
                       {"up_bytes_per_second", client.link.up_bytes_per_second},
                       {"down_bytes_per_second", client.link.down_bytes_per_second},
                       {"round_trip_seconds", client.link.round_trip_seconds},
                       {"cpu_seconds", client.cpu_seconds},
                       {"throttled_seconds", client.throttled_seconds},
                       {"cpu_quota", client.cpu_quota}};
  for (const Named& figure : all) {
    if (!std::isfinite(figure.value) || figure.value < 0) {
      return absl::StrCat("client ", client.name, ": ", std::string(figure.name), " is ", figure.value);
    }
  }
  if (client.tokens <= 0 || client.head_forward_seconds == 0) {
    return absl::StrCat("client ", client.name, ": computed nothing");
  }
  if (client.choice.cut_layer < 1) {
    return absl::StrCat("client ", client.name, ": cut_layer is ", client.choice.cut_layer);
  }
  return "";
}

}  // namespace

std::string WhatIsWrong(const StepFigures& figures) {
  const Named all[] = {{"seconds", figures.seconds},
                       {"server_forward_seconds", figures.server_forward_seconds},
                       {"server_backward_seconds", figures.server_backward_seconds},
                       {"server_wait_seconds", figures.server_wait_seconds}};
  for (const Named& figure : all) {
    if (!std::isfinite(figure.value) || figure.value < 0) {
      return absl::StrCat("step ", figures.step, ": ", std::string(figure.name), " is ", figure.value);
    }
  }
  if (figures.seconds == 0) {
    return absl::StrCat("step ", figures.step, " took no time");
  }
  if (figures.microbatches < 1) {
    return absl::StrCat("step ", figures.step, ": microbatches is ", figures.microbatches);
  }
  for (const ClientFigures& client : figures.clients) {
    if (std::string wrong = WhatIsWrongWith(client); !wrong.empty()) {
      return absl::StrCat("step ", figures.step, ", ", wrong);
    }
  }
  return "";
}

}  // namespace splitft::scheduler
