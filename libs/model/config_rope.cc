#include <string>

#include "absl/strings/str_cat.h"
#include "libs/model/config_families.h"

namespace splitft::model {
namespace {

using nlohmann::json;

void ReadLlama3(int64_t max_positions, ConfigFields* outer, ConfigFields* fields, RopeConfig* rope) {
  rope->scaling = RopeConfig::Scaling::kLlama3;
  rope->factor = fields->Positive("factor");
  rope->low_frequency_factor = fields->Positive("low_freq_factor");
  rope->high_frequency_factor = fields->Positive("high_freq_factor");
  // As transformers has it: the model's own field first, then the scaling's, then the present length.
  rope->original_max_positions = outer->SizeOr("original_max_position_embeddings",
                                               fields->SizeOr("original_max_position_embeddings", max_positions));
  if (rope->high_frequency_factor <= rope->low_frequency_factor) {
    fields->Refuse("high_freq_factor",
                   absl::StrCat("more than low_freq_factor, which is ", rope->low_frequency_factor));
  }
}

}  // namespace

RopeConfig ReadRopeConfig(int64_t max_positions, ConfigFields* fields) {
  RopeConfig rope;
  const char* key = fields->Has("rope_scaling") ? "rope_scaling" : "rope_parameters";
  static const json kNone = json::object();
  const bool has_parameters = fields->Has(key);
  ConfigFields parameters(has_parameters ? fields->Raw(key) : kNone, absl::StrCat(fields->source(), ": ", key));
  if (parameters.Has("full_attention") || parameters.Has("sliding_attention")) {
    fields->Unknown(key, "one set of parameters for all layers");
    return rope;
  }
  rope.theta = parameters.PositiveOr("rope_theta", fields->PositiveOr("rope_theta", 10000.0));
  for (ConfigFields* holder : {&parameters, fields}) {
    if (holder->NumberOr("partial_rotary_factor", 1.0) != 1.0) {
      holder->Unknown("partial_rotary_factor", "1.0");
    }
  }
  const char* type_key = parameters.Has("rope_type") ? "rope_type" : "type";
  const std::string type = parameters.TextOr(type_key, "default");
  if (type == "linear") {
    rope.scaling = RopeConfig::Scaling::kLinear;
    rope.factor = parameters.Positive("factor");
  } else if (type == "llama3") {
    ReadLlama3(max_positions, fields, &parameters, &rope);
  } else if (type != "default") {
    parameters.Unknown(type_key, "default, linear and llama3");
  }
  fields->Fail(parameters.status());
  return rope;
}

}  // namespace splitft::model
