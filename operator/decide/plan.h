#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/decide/snapshot.h"

namespace splitft::controller {

// Something to tell people: an event about the job.
struct Notice {
  bool warning = false;
  std::string reason;
  std::string action;
  std::string note;

  bool operator==(const Notice&) const = default;
};

struct PodDeletion {
  std::string name;
  std::string uid;  // the very pod that was seen

  bool operator==(const PodDeletion&) const = default;
};

// What to do about a job now. A value, in the order it is carried out.
struct Plan {
  std::vector<PodDeletion> delete_pods;
  std::vector<Json> create;             // objects that are missing, whole
  std::vector<Json> repair;             // objects that are there but not as they should be; with metadata.uid
  bool children_are_as_wanted = false;  // they were all looked at, and nothing is to be done about them
  bool delete_job = false;              // its time to live is over
  Json status;                          // what the job's status is to be; null: leave it
  bool status_can_wait = false;         // until what was made is seen, unless it could not be made
  std::vector<Notice> notices;
  std::optional<WallTime> look_again;  // at this time, though nothing may have changed
};

}  // namespace splitft::controller
