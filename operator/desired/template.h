#pragma once

#include <string>

#include "nlohmann/json.hpp"

namespace splitft::controller {

using Json = nlohmann::json;

// `over` laid over `pod`, both in PodTemplateSpec's shape, as Kubernetes merges strategically: mappings by key;
// volumes, containers, env and imagePullSecrets by name, volumeMounts by mountPath; other lists replace. Of `over` only
// what the FineTuneJob's schema knows can be there; the API server has seen to that.
Json LayOver(Json pod, const Json& over);

// As JSON; an empty mapping where `text` is empty. The manifest's reader has checked it.
Json ParseTemplate(const std::string& text);

}  // namespace splitft::controller
