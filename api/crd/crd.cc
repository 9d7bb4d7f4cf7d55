#include "api/crd/crd.h"

#include "absl/strings/str_cat.h"
#include "api/crd/rules.h"
#include "api/crd/spec_schema.h"
#include "api/crd/status.h"
#include "api/crd/yaml.h"
#include "libs/spec/text_forms.h"

namespace splitft::crd {
namespace {

constexpr char kComment[] =
    "# The FineTuneJob that kubectl apply takes. Made by api/crd from what libs/spec knows of the manifest; change "
    "that,\n"
    "# and then: SPLITFT_WRITE_CRD=1 build/bin/unit_crd\n";

Json JobSchema() {
  const Json metadata = Object("", {{"name", Text("", spec::kLabelForm.longest_bytes)}});
  Json root = Object(
      "Fine-tunes a language model on the text of several owners, which stays with them; only LoRA "
      "adapters are trained. docs/manifest.md tells more.",
      {
          {"apiVersion", Text("splitft.io/v1alpha1", 64)},
          {"kind", Text("FineTuneJob", 64)},
          {"metadata", metadata},
          {"spec", SpecSchema()},
          {"status", StatusSchema()},
      },
      {"spec"});
  AddRules(JobRules(), root);
  return root;
}

}  // namespace

Json FineTuneJobDefinition() {
  const Json version = {
      {"name", "v1alpha1"},
      {"served", true},
      {"storage", true},
      {"subresources", {{"status", Json::object()}}},
      {"additionalPrinterColumns", PrinterColumns()},
      {"schema", {{"openAPIV3Schema", JobSchema()}}},
  };
  const Json names = {
      {"kind", "FineTuneJob"},     {"listKind", "FineTuneJobList"}, {"plural", "finetunejobs"},
      {"singular", "finetunejob"}, {"shortNames", Names{"ftj"}},
  };
  return {
      {"apiVersion", "apiextensions.k8s.io/v1"},
      {"kind", "CustomResourceDefinition"},
      {"metadata", {{"name", "finetunejobs.splitft.io"}}},
      {"spec",
       {
           {"group", "splitft.io"},
           {"scope", "Namespaced"},
           {"names", names},
           {"versions", Json::array({version})},
       }},
  };
}

std::string FineTuneJobYaml() { return absl::StrCat(kComment, FormatYaml(FineTuneJobDefinition())); }

}  // namespace splitft::crd
