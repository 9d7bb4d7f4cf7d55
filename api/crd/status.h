#pragma once

#include "api/crd/schema.h"

namespace splitft::crd {

// The schema of `status`, which the operator alone writes. Figures with a fraction are strings with a fixed number of
// decimals: kubectl's columns print floats as they come (2.549823), and Kubernetes' API has none for that reason.
Json StatusSchema();

// kubectl get's columns, which are fields of status.
Json PrinterColumns();

}  // namespace splitft::crd
