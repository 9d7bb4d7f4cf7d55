#pragma once

#include <string_view>

// How PEFT's configuration names modules (peft.tuners.tuners_utils.check_target_module_exists,
// peft.utils.other.get_pattern_key).
namespace splitft::model {

// Whether `target` is `module`'s full name ("model.layers.3.self_attn.q_proj") or its end from a dot on ("q_proj",
// "self_attn.q_proj").
bool TargetMatches(std::string_view target, std::string_view module);

// A key of rank_pattern or alpha_pattern is a regular expression to PEFT, looked for at the end of the full name from a
// dot on; a leading ^ ties it to the full name. This build takes the plain names among them, with or without the ^.
bool IsPlainPattern(std::string_view pattern);

// Whether a plain pattern matches `module`'s full name.
bool PatternMatches(std::string_view pattern, std::string_view module);

}  // namespace splitft::model
