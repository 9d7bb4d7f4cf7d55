#pragma once

#include <string>

#include "nlohmann/json.hpp"

namespace splitft::controller {

using Json = nlohmann::json;

// How the operator was installed.
struct OperatorSettings {
  std::string worker_image;
  std::string aggregator_image;
  std::string aggregator_cuda_image;  // for jobs whose aggregator.device is a GPU
  std::string image_pull_policy = "IfNotPresent";
  int port = 7070;          // of the aggregator
  int metrics_port = 8081;  // likewise
  // Which pods may watch aggregators, by their namespace and labels; no labels: none but the job's own.
  std::string watcher_namespace;
  Json watcher_labels;
  // Who may scrape aggregators, as the peers of a NetworkPolicy (a list); empty: nobody.
  Json scrapers = Json::array();
};

}  // namespace splitft::controller
