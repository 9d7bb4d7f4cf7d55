#pragma once

#include "libs/spec/fields.h"

namespace splitft::spec {

inline constexpr int kLongestPath = 4096;
// Of a path on a node, or a claim and the path in it: the API server checks them by regular expressions, for every
// client, and reckons with the longest.
inline constexpr int kLongestVolumePath = 1024;

// An RFC 1123 label: what Kubernetes allows as the name of most things.
extern const TextForm kLabelForm;
// auto, cpu or cuda:N.
extern const TextForm kDeviceForm;
// How hidden states travel, where one must be named.
extern const TextForm kCodecForm;
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
// A ConfigMap's name, a slash and one of its keys.
extern const TextForm kConfigMapForm;
// Who acts on a job, as Kubernetes has it for Jobs: a domain, a slash and a name.
extern const TextForm kManagedByForm;

}  // namespace splitft::spec
