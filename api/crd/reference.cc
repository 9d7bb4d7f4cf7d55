#include "api/crd/reference.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/crd/crd.h"
#include "api/crd/object_tables.h"
#include "api/crd/spec_schema.h"
#include "api/crd/vocabulary.h"

namespace splitft::crd {
namespace {

constexpr char kAbout[] = R"(# API reference: FineTuneJob

<!-- Made by api/crd; change that, and then: SPLITFT_WRITE_CRD=1 build/bin/unit_crd -->

Every field of a `FineTuneJob` in a cluster, and every word that the operator answers with. How one writes a job is in
[manifest.md](manifest.md); `kubectl explain ftj --recursive` shows the same fields in a terminal, and
[finetunejobs.yaml](../api/crd/finetunejobs.yaml) is the definition itself.

)";

constexpr char kFields[] = R"(
## Fields of a job

The API server fills in the defaults and refuses what does not fit: unknown fields, values beyond their limits, and jobs
that break one of the rules below the tables. A rule is an expression in
[CEL](https://kubernetes.io/docs/reference/using-api/cel/) that must hold. `self` in it is the table's object; in rules
with `oldSelf`, which compare a change with what was before, it is the field. The message names the values, too.
)";

constexpr char kTemplates[] = R"(
## Pod templates

`spec.aggregator.template`, `spec.workers.template` and `spec.clients[].template` have the same fields, a part of
Kubernetes' `PodTemplateSpec`, in their own places; what is not here is the operator's own. Types without a link are
shown by `kubectl explain ftj.spec.workers.template.spec.tolerations`, for instance.
)";

constexpr char kStatus[] = R"(
## Fields of the status

What the operator has not found out yet is absent.
)";

constexpr char kConditions[] = R"(
## States, conditions and reasons

`status.state` is the job in one word, for people. Programs wait for conditions:
`kubectl wait --for=condition=Complete ftj/NAME`. The conditions have the same reason and message, the cause of the
state; `Degraded` has its own.

)";

constexpr char kReasons[] = R"(
A job that is `Pending`, and a condition `Degraded`, may also have the reason that Kubernetes gives for the pod, such as
`Unschedulable`, `ImagePullBackOff`, `CreateContainerConfigError`, `OOMKilled` or `Evicted`; so may
`status.clients[].reason` and `status.aggregators[].reason`.
)";

constexpr char kEvents[] = R"(
## Events

Each new state is an event with the state's reason and message: `Warning` for `Failed`, else `Normal`. Beside those:

)";

constexpr char kChildren[] = R"(
## What is made for a job

All of it lies in the job's namespace, belongs to the job by its `ownerReferences`, and goes when the job is deleted.

)";

constexpr char kLabels[] = R"(
With these labels, by which `kubectl logs --selector=splitft.io/job=NAME,splitft.io/role=aggregator` finds them; a
[template](#pod-templates) adds others. The operator sets no annotations.

)";

constexpr char kAnnotations[] = R"(
Of a job's own annotations one is read:

)";

std::string Code(const std::string& text) { return absl::StrCat("`", text, "`"); }

std::string About(const Json& definition) {
  const Json& spec = definition["spec"];
  const Json& names = spec["names"];
  const auto text = [](const Json& value) { return Code(value.get<std::string>()); };
  const std::string group = spec["group"];
  return Table({"group", Code(group)},
               {{"version", text(spec["versions"][0]["name"])},
                {"kind", absl::StrCat(text(names["kind"]), "; of lists ", text(names["listKind"]))},
                {"resource", absl::StrCat(text(names["plural"]), ", ", text(names["singular"]), " or ",
                                          text(names["shortNames"][0]))},
                {"scope", text(spec["scope"])},
                {"subresource", "`status`"}});
}

std::string Columns(const Json& columns) {
  std::vector<Names> rows;
  for (const Json& column : columns) {
    rows.push_back({absl::StrCat(column.value("name", ""), column.value("priority", 0) > 0 ? " (`--output=wide`)" : ""),
                    Code(column.value("jsonPath", "").substr(1)), absl::StrCat(column.value("description", ""), ".")});
  }
  return absl::StrCat("\n## Columns of `kubectl get ftj`\n\n", Table({"column", "field", "meaning"}, rows));
}

std::string Terms(const Names& header, const std::vector<Term>& terms) {
  std::vector<Names> rows;
  for (const Term& term : terms) {
    rows.push_back({Code(term.name), term.meaning});
  }
  return Table(header, rows);
}

std::string ReasonTable(const Names& header, const std::vector<Reason>& reasons) {
  std::vector<Names> rows;
  for (const Reason& reason : reasons) {
    rows.push_back({Code(reason.name), reason.where, reason.meaning});
  }
  return Table(header, rows);
}

std::string ChildTable() {
  std::vector<Names> rows;
  for (const Child& child : Children()) {
    rows.push_back({child.kind, Code(child.name), child.purpose});
  }
  return Table({"kind", "name", "purpose"}, rows);
}

std::string Words() {
  return absl::StrCat(
      kConditions, Terms({"state", "meaning"}, States()), "\n", Terms({"condition", "meaning"}, ConditionTypes()), "\n",
      ReasonTable({"reason", "of", "meaning"}, Reasons()), kReasons, kEvents,
      ReasonTable({"reason", "type", "meaning"}, EventReasons()), kChildren, ChildTable(), kLabels,
      Terms({"label", "value"}, ChildLabels()), kAnnotations, Terms({"annotation", "meaning"}, Annotations()));
}

// The depth that a job's author needs; what is further down is Kubernetes' own.
std::vector<ObjectSection> TemplateSections(Json root) {
  const Names shown = {"template.metadata", "template.spec", "template.spec.containers[]"};
  std::vector<ObjectSection> sections;
  for (const ObjectSection& section : ObjectSections("template", "", SchemaAt(root, "spec.workers.template"))) {
    if (std::count(shown.begin(), shown.end(), section.path) > 0) {
      sections.push_back(section);
    }
  }
  return sections;
}

// Whether `path` is `top` or lies in it.
bool IsOf(const ObjectSection& section, const std::string& top) {
  return section.path == top || (!top.empty() && section.path.starts_with(top + "."));
}

std::string Part(const std::vector<ObjectSection>& sections, const std::string& top) {
  std::string text;
  for (const ObjectSection& section : sections) {
    absl::StrAppend(&text, IsOf(section, top) ? FormatSection(section, sections) : "");
  }
  return text;
}

// "[`spec`](#spec), [`model`](#specmodel), ...": the part's sections.
std::string Links(const std::vector<ObjectSection>& sections, const std::string& top) {
  Names links;
  for (const ObjectSection& section : sections) {
    if (IsOf(section, top)) {
      links.push_back(absl::StrCat("[", Code(section.path), "](#", Anchor(section.path), ")"));
    }
  }
  return absl::StrJoin(links, ", ");
}

std::string Contents(const std::vector<ObjectSection>& all, const std::vector<ObjectSection>& templates) {
  return absl::StrCat(
      "\n- [Columns of `kubectl get ftj`](#columns-of-kubectl-get-ftj)\n- [Fields of a job](#fields-of-a-job): ",
      Links(all, "spec"), "\n- [Pod templates](#pod-templates): ", Links(templates, "template"),
      "\n- [Fields of the status](#fields-of-the-status): ", Links(all, "status"),
      "\n- [States, conditions and reasons](#states-conditions-and-reasons), [events](#events)\n- ",
      "[What is made for a job](#what-is-made-for-a-job), its labels\n");
}

}  // namespace

std::string FineTuneJobReference() {
  const Json definition = FineTuneJobDefinition();
  const Json& version = definition["spec"]["versions"][0];
  const Json& root = version["schema"]["openAPIV3Schema"];
  const std::vector<ObjectSection> all = ObjectSections("", "", root);
  const std::vector<ObjectSection> templates = TemplateSections(root);
  return absl::StrCat(kAbout, About(definition), Contents(all, templates), Columns(version["additionalPrinterColumns"]),
                      kFields, Part(all, ""), Part(all, "spec"), kTemplates, Part(templates, "template"), kStatus,
                      Part(all, "status"), Words());
}

}  // namespace splitft::crd
