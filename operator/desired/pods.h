#pragma once

#include "libs/spec/job.h"
#include "operator/desired/names.h"
#include "operator/desired/settings.h"

namespace splitft::controller {

// Who the children belong to.
struct Owner {
  std::string name_space;
  std::string name;
  std::string uid;
};

// metadata of a child of the job: name, namespace, labels, and the job as its controller.
Json ChildMetadata(const Owner& owner, const std::string& name);

// The pod of `member`. It is restricted (Pod Security Standards), has no token of its account, and is never started
// again in place: its successor is another pod. The role's template (job.h) is laid over it, but not over what makes it
// a member of the job or restricted.
struct PodOptions {
  Member member;
  int index = 0;
};
Json DesiredPod(const Owner& owner, const spec::FineTuneJob& job, const PodOptions& options,
                const OperatorSettings& settings);

}  // namespace splitft::controller
