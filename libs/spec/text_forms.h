#pragma once

#include "libs/spec/fields.h"

namespace splitft::spec {

inline constexpr int kLongestPath = 4096;

// An RFC 1123 label: what Kubernetes allows as the name of most things.
extern const TextForm kLabelForm;
// auto, cpu or cuda:N.
extern const TextForm kDeviceForm;
// A module's name, or its path below the model.
extern const TextForm kModuleForm;
// A column of a CSV file or a member of a JSON object.
extern const TextForm kColumnForm;
// The key of a label or annotation, loosely: the API server knows the rest.
extern const TextForm kKeyForm;
// A local path, relative or absolute.
extern const TextForm kPathForm;
extern const TextForm kAbsolutePathForm;
// "org/name" or "name" on the Hugging Face hub, and "@revision".
extern const TextForm kHubForm;
// A PersistentVolumeClaim's name and, after a slash, a path in it.
extern const TextForm kClaimForm;

}  // namespace splitft::spec
