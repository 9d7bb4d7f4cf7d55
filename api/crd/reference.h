#pragma once

#include <string>

namespace splitft::crd {

// docs/api.md: the reference of FineTuneJob in Markdown, an object of its definition (crd.h) a table, and the words
// that the operator writes (vocabulary.h). The file is committed, since people read it; a test holds it equal to this.
std::string FineTuneJobReference();

}  // namespace splitft::crd
