#pragma once

#include <string>

#include "nlohmann/json.hpp"

namespace splitft::controller {

using Json = nlohmann::json;

// How the operator was installed.
struct OperatorSettings {
  std::string worker_image;
  std::string aggregator_image;
  std::string image_pull_policy = "IfNotPresent";
  int port = 7070;  // of the aggregator
  // Whose pods may watch aggregators, by their labels, in every namespace; null: nobody but the job's own.
  Json watcher_labels;
};

}  // namespace splitft::controller
