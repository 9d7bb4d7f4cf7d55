#pragma once

#include <ATen/core/Tensor.h>

// Shapes: N rows, V vocabulary.
namespace splitft::model {

// Sum over rows of -log softmax(logits)[label]. With `need_gradient`, logits_NV is overwritten with the loss's gradient
// by the logits, softmax - onehot(label), rounded to the logits' type. Labels (int64) lie in [0, V). On the CPU one
// kernel does it in two passes; row losses are added in double, in row order, so the sum does not depend on threads.
double CrossEntropy(const at::Tensor& labels_N, bool need_gradient, at::Tensor* logits_NV);

}  // namespace splitft::model
