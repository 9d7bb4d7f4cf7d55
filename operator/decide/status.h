#pragma once

#include <string>
#include <vector>

#include "operator/decide/members.h"
#include "operator/decide/outcome.h"
#include "operator/decide/snapshot.h"

namespace splitft::controller {

// The job's status (api/crd/status.cc has its schema): what it was, moved on by `outcome` and by what members and
// aggregator show. The same input gives the same status, so that what is not news is not written.
Json NextStatus(const JobSnapshot& snapshot, const std::vector<MemberState>& members, const Outcome& outcome);

// `status` where something that the job needs could not be made: a job that does not run says `why`.
Json WithRefusal(Json status, const std::string& why);

// `status` without the figures that change with every step: what cannot wait to be written.
Json WithoutFigures(const Json& status);

}  // namespace splitft::controller
