#pragma once

#include "libs/kube/object.h"

// The kinds of objects the operator reads and writes.
namespace splitft::controller {

inline const kube::ResourceType kFineTuneJob{"splitft.io", "v1alpha1", "FineTuneJob", "finetunejobs"};
inline const kube::ResourceType kPod{"", "v1", "Pod", "pods"};
inline const kube::ResourceType kConfigMap{"", "v1", "ConfigMap", "configmaps"};
inline const kube::ResourceType kService{"", "v1", "Service", "services"};
inline const kube::ResourceType kServiceAccount{"", "v1", "ServiceAccount", "serviceaccounts"};
inline const kube::ResourceType kNetworkPolicy{"networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies"};

// Where an object of this kind is; null for a kind that the operator does not make.
const kube::ResourceType* TypeOf(const kube::Json& object);

}  // namespace splitft::controller
