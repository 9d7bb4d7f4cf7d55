#include "api/crd/spec_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "api/crd/crd.h"
#include "libs/spec/parse.h"
#include "libs/spec/schema.h"
#include "tests/support/refused_jobs.h"

namespace splitft::crd {
namespace {

Json RootSchema() { return FineTuneJobDefinition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]; }

// Calls visit(path, schema) for `schema` and all below it.
template <typename Visit>
void Walk(const std::string& path, const Json& schema, Visit visit) {
  visit(path, schema);
  if (schema.contains("properties")) {
    for (const auto& [name, property] : schema["properties"].items()) {
      Walk(absl::StrCat(path, ".", name), property, visit);
    }
  }
  if (schema.contains("items")) {
    Walk(path + "[]", schema["items"], visit);
  }
  if (schema.contains("additionalProperties")) {
    Walk(path + "{}", schema["additionalProperties"], visit);
  }
}

// What the API server does to a job before it looks at rules.
void FillDefaults(const Json& schema, Json& value) {
  if (value.is_object() && schema.contains("properties")) {
    for (const auto& [name, property] : schema["properties"].items()) {
      if (!value.contains(name) && property.contains("default")) {
        value[name] = property["default"];
      }
      if (value.contains(name)) {
        FillDefaults(property, value[name]);
      }
    }
  }
  if (value.is_array() && schema.contains("items")) {
    for (Json& item : value) {
      FillDefaults(schema["items"], item);
    }
  }
}

std::string Parsed(const std::string& yaml) {
  const absl::StatusOr<spec::FineTuneJob> job = spec::ParseJob(yaml, {.base_directory = "/", .overrides = {}});
  return job.ok() ? spec::FormatJob(*job) : job.status().ToString();
}

TEST(SpecSchema, HasEveryFieldThatTheParserKnows) {
  const Json root = RootSchema();
  Json all = root;
  for (const spec::FieldInfo& field : spec::KnownFields()) {
    if (field.path.starts_with("spec.")) {
      EXPECT_TRUE(SchemaAt(all, field.path).contains("type")) << field.path;
    }
  }
  EXPECT_TRUE(all == root) << "a lookup made a field that was not there";
}

TEST(SpecSchema, HasNothingThatTheParserDoesNotKnow) {
  std::vector<std::string> known;
  for (const spec::FieldInfo& field : spec::KnownFields()) {
    known.push_back(field.path);
  }
  Walk("spec", RootSchema()["properties"]["spec"], [&](const std::string& path, const Json& /*schema*/) {
    const bool inside = path.find(".template.") != std::string::npos || path.ends_with("]") || path.ends_with("}");
    if (!inside) {
      EXPECT_THAT(known, ::testing::Contains(path));
    }
  });
}

TEST(SpecSchema, BoundsEverythingAndTellsWhatItIs) {
  Walk("", RootSchema(), [](const std::string& path, const Json& schema) {
    const std::string type = schema.value("type", "");
    if (type == "string") {
      EXPECT_TRUE(schema.contains("maxLength") || schema.contains("enum") || schema.contains("format")) << path;
    } else if (type == "array") {
      EXPECT_TRUE(schema.contains("maxItems")) << path;
    } else if (schema.contains("additionalProperties")) {
      EXPECT_TRUE(schema.contains("maxProperties")) << path;
    } else {
      EXPECT_TRUE(!type.empty() || schema.contains("x-kubernetes-int-or-string")) << path;
    }
    const bool speaks_for_itself = path.ends_with("]") || path.ends_with("}") || path.starts_with(".metadata");
    EXPECT_TRUE(speaks_for_itself || !schema.value("description", "").empty()) << path;
  });
}

TEST(SpecSchema, TakesOverBoundsFormsAndWords) {
  Json root = RootSchema();
  const Json& alpha = SchemaAt(root, "spec.lora.alpha");
  EXPECT_EQ(alpha["minimum"], 0);
  EXPECT_EQ(alpha["exclusiveMinimum"], true);
  EXPECT_EQ(alpha["maximum"], 1e6);
  EXPECT_EQ(alpha["default"], 16);
  EXPECT_EQ(SchemaAt(root, "spec.lora.dropout")["exclusiveMaximum"], true);
  EXPECT_FALSE(SchemaAt(root, "spec.training.seed").contains("maximum")) << "a double cannot hold it";
  EXPECT_EQ(SchemaAt(root, "spec.split.labels")["enum"], Json::array({"Client", "Server"}));
  EXPECT_EQ(SchemaAt(root, "spec.aggregator.device")["maxLength"], 7);
  EXPECT_EQ(SchemaAt(root, "spec.clients")["minItems"], 1);
  EXPECT_EQ(SchemaAt(root, "spec.clients")["x-kubernetes-list-map-keys"], Json::array({"name"}));
}

TEST(SpecSchema, RequiresWhatTheParserMisses) {
  Json root = RootSchema();
  EXPECT_EQ(SchemaAt(root, "spec")["required"], Json::array({"model", "clients", "output"}));
  EXPECT_EQ(SchemaAt(root, "spec.clients[]")["required"], Json::array({"name", "data"}));
  EXPECT_EQ(SchemaAt(root, "spec.failureRules[]")["required"], Json::array({"role", "action"}));
  EXPECT_FALSE(SchemaAt(root, "spec.lora").contains("required"));
}

TEST(SpecSchema, HasTheParsersDefaults) {
  // JSON, since that is what the API server stores.
  const std::string minimal = R"({"apiVersion": "splitft.io/v1alpha1", "kind": "FineTuneJob", "metadata": {"name": "j"},
      "spec": {"model": {"source": {"persistentVolumeClaim": "m"}}, "training": {"steps": 5}, "output": {"hostPath": "/o"},
               "clients": [{"name": "c", "data": {"hostPath": "/c"}}],
               "failureRules": [{"role": "Worker", "action": "Ignore"}]}})";
  Json filled = Json::parse(minimal);
  FillDefaults(RootSchema(), filled);
  EXPECT_EQ(filled["spec"]["training"]["optimizer"]["beta2"], 0.999);
  EXPECT_EQ(filled["spec"]["clients"][0]["data"]["columns"]["text"], "text");
  EXPECT_FALSE(filled["spec"]["clients"][0].contains("cutLayer")) << "the job's own, which is no constant";
  EXPECT_EQ(Parsed(filled.dump()), Parsed(minimal));
}

}  // namespace
}  // namespace splitft::crd
