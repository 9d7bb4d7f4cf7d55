#pragma once

#include <span>

#include "libs/scheduler/cost_model.h"

// Choices that are best by the cost model.
namespace splitft::scheduler {

// The choices whose predicted step is shortest in so many microbatches; of codecs those that stand first in `codecs`
// (at least one, the most exact first) as far as that costs no more than 1 % of the step. Exact for small fleets,
// within a percent or so for large ones; some 50 ms for 10,000 clients.
Arrangement LeastSeconds(const Fleet& fleet, std::span<const spec::Codec> codecs, int microbatches);

// The choices that leave the aggregator the least to compute in steps of at most `seconds`; where there are none, those
// of LeastSeconds.
Arrangement LeastServerSeconds(const Fleet& fleet, std::span<const spec::Codec> codecs, int microbatches,
                               double seconds);

// The fewest microbatches with which these choices take at most `seconds` a step, of those that divide the smallest
// batch into equal parts; `now`, where that will do. The most that the fleet allows where nothing will.
int FewestMicrobatches(const Fleet& fleet, Arrangement arrangement, int now, double seconds);

// `best` with as many of `now`'s choices as cost together no more than `slack` (0.01: 1 %) of best's step: what need
// not change stays. Those of clients that `best` has slower than they need to be are the first to stay.
Arrangement KeepWhatMayStay(const Fleet& fleet, const Arrangement& now, Arrangement best, double slack);

}  // namespace splitft::scheduler
