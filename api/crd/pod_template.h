#pragma once

#include <string_view>

#include "api/crd/schema.h"

namespace splitft::crd {

// The fields of Kubernetes' PodTemplateSpec that a job may set for a role's pod, in their own places, so that what
// people and tools know of pod templates holds here. What is not in it belongs to the operator.
Json PodTemplate(std::string_view description);

}  // namespace splitft::crd
