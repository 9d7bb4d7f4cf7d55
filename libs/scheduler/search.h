#pragma once

#include <span>
#include <vector>

#include "libs/scheduler/cost_model.h"

// Choices that are best by the cost model.
namespace splitft::scheduler {

// The choices whose predicted step is shortest; of codecs those that stand first in `codecs` (at least one, the most
// exact first) as far as that costs no more than 1 % of the step. Exact for small fleets, within a percent or so for
// large ones; some 50 ms for 10,000 clients.
std::vector<Choice> LeastSeconds(const Fleet& fleet, std::span<const spec::Codec> codecs);

// The choices that leave the aggregator the least to compute in steps of at most `seconds`; where there are none, those
// of LeastSeconds.
std::vector<Choice> LeastServerSeconds(const Fleet& fleet, std::span<const spec::Codec> codecs, double seconds);

// `best` with as many of `now`'s choices as cost together no more than `slack` (0.01: 1 %) of best's step: what need
// not change stays. Those of clients that `best` has slower than they need to be are the first to stay.
std::vector<Choice> KeepWhatMayStay(const Fleet& fleet, std::span<const Choice> now, std::vector<Choice> best,
                                    double slack);

}  // namespace splitft::scheduler
