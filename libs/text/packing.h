#pragma once

#include <cstdint>
#include <vector>

#include "libs/text/dataset.h"

namespace splitft::text {

// Puts samples into rows of at most `capacity` tokens, best fit decreasing: the longest first, each into the fullest
// row that still has room for it. Samples stay apart and whole; every one is in exactly one row. Deterministic: ties go
// to the earlier sample and the earlier row; samples in a row, and rows by their first sample, keep the samples' order.
// Every sample has at most `capacity` tokens.
std::vector<Row> PackRows(std::vector<Sample> samples, int64_t capacity);

}  // namespace splitft::text
