#pragma once

#include <string>
#include <vector>

// The words that the operator writes, for people: into a job's status, into events, onto what it makes for a job. What
// decides on them is operator/decide and operator/desired; a test holds the two together.
namespace splitft::crd {

struct Term {
  std::string name;
  std::string meaning;
};

// A cause in one word: of a condition, and of the event that tells of it.
struct Reason {
  std::string name;
  std::string where;  // the state of the job, or the condition, that has it
  std::string meaning;
};

// What is made for a job, and dies with it.
struct Child {
  std::string kind;
  std::string name;  // "<job>-aggregator-<index>"
  std::string purpose;
};

// status.state, in the order in which a job goes through them.
const std::vector<Term>& States();
const std::vector<Term>& ConditionTypes();
const std::vector<Reason>& Reasons();
// Of events alone: every new state is an event, too, with its reason.
const std::vector<Reason>& EventReasons();
const std::vector<Child>& Children();
const std::vector<Term>& ChildLabels();
// Of a job, that somebody reads.
const std::vector<Term>& Annotations();

}  // namespace splitft::crd
