#pragma once

#include <string>
#include <vector>

#include "libs/spec/document.h"
#include "libs/spec/problems.h"

namespace splitft::spec {

// Applies overrides ("training.steps=50", "clients[0].cutLayer=3", "clients.hospital.cutLayer=3") to the manifest's
// tree, in their order, each a path below `spec` (or from it: "spec.training.steps=50") and a YAML value. Mappings on
// the way are made where there are none; elements of lists are not. Whether fields exist and values are right is for
// the reader. Adds to `problems` what is no override and what finds no element.
void ApplyOverrides(const std::vector<std::string>& overrides, Node& document, Problems& problems);

}  // namespace splitft::spec
