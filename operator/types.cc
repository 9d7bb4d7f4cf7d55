#include "operator/types.h"

namespace splitft::controller {

const kube::ResourceType* TypeOf(const kube::Json& object) {
  for (const kube::ResourceType* type :
       {&kPod, &kConfigMap, &kService, &kServiceAccount, &kNetworkPolicy, &kFineTuneJob}) {
    if (kube::TextAt(object, {"kind"}) == type->kind) {
      return type;
    }
  }
  return nullptr;
}

}  // namespace splitft::controller
