#pragma once

#include <string>
#include <vector>

#include "api/crd/schema.h"

namespace splitft::crd {

// A rule in CEL that the API server holds a job against. No webhook is needed for it.
struct Rule {
  std::string at = "spec";  // the field whose schema has it; empty: the whole job
  std::string field;        // ".training.warmupSteps": which field below it the message is about; empty: itself
  std::string condition;    // true where all is well; `self` is the field at `at`
  std::string message;      // what is wrong and what to do, without the field's name, which the server puts first
  std::string message_expression;  // the same in CEL, with values; empty: message says it
};

// The rules between fields of libs/spec/rules.h, in the same order, and those that only a cluster has: no paths on the
// user's own machine, one source of each kind, keys of maps, and what may change once the job exists.
std::vector<Rule> JobRules();

// Adds the rules to the schemas below `root`, an object with the property spec.
void AddRules(const std::vector<Rule>& rules, Json& root);

}  // namespace splitft::crd
