#pragma once

#include <string>

#include "api/crd/schema.h"

namespace splitft::crd {

// The CustomResourceDefinition of FineTuneJob. Its spec is what libs/spec knows (spec_schema.h, rules.h); status.h and
// pod_template.h are written by hand.
Json FineTuneJobDefinition();

// api/crd/finetunejobs.yaml: the definition after a comment. The file is committed, since it is a contract that people
// read, and once more in charts/splitft, since Helm looks at nothing outside a chart; a test holds both equal to this.
std::string FineTuneJobYaml();

}  // namespace splitft::crd
