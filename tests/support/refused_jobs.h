#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "tests/support/job_manifest.h"

// Jobs that break one rule between fields each, and what is said of them on one machine and by the API server. Both
// must refuse every one: a rule of libs/spec/rules.cc that has no line here has no twin in the CRD.
namespace splitft {

struct RefusedJob {
  Sections sections;           // of JobManifest
  std::string on_one_machine;  // all that ParseJob says, path first
  // A line of kubectl's error, without the words that the API server puts before each (Invalid value: "object"). Empty:
  // the same as on one machine.
  std::string in_a_cluster = {};
};

inline void PrintTo(const RefusedJob& job, std::ostream* out) { *out << job.on_one_machine; }

// A manifest that is right in a cluster and on paper, with `sections` (name below spec -> YAML in flow style) in place
// of its own or beside them; an empty text takes the section away.
inline std::string JobManifest(const Sections& sections = {}) {
  return ComposeManifest(
      {
          {"model", "{source: {persistentVolumeClaim: models/base}}"},
          {"training", "{steps: 100}"},
          {"clients",
           "[{name: hospital, data: {persistentVolumeClaim: a/a.txt}}, {name: bank, data: {hostPath: /b.jsonl}}]"},
          {"output", "{persistentVolumeClaim: results/out}"},
      },
      sections);
}

inline std::vector<RefusedJob> JobsThatAreCutWrong() {
  return {
      {{{"lora", "{rank: 4, cutLayerRank: 5}"}}, "spec.lora.cutLayerRank: 5 is above spec.lora.rank, which is 4"},
      {{{"split", "{cutLayer: 3, minCutLayer: 5, maxCutLayer: 3}"}},
       "spec.split.minCutLayer: 5 is above spec.split.maxCutLayer, which is 3"},
      {{{"split", "{cutLayer: 2, minCutLayer: 3}"}},
       "spec.split.cutLayer: 2 is below spec.split.minCutLayer, which is 3"},
      {{{"split", "{cutLayer: 4, maxCutLayer: 3}"}},
       "spec.split.cutLayer: 4 is above spec.split.maxCutLayer, which is 3"},
      {{{"split", "{cutLayer: 2, minCutLayer: 2}"},
        {"clients", "[{name: a, data: {hostPath: /a}}, {name: b, data: {hostPath: /b}, cutLayer: 1}]"}},
       "spec.clients[1].cutLayer: 1 is below spec.split.minCutLayer, which is 2",
       R"(spec.clients: cutLayer of ["b"] is below spec.split.minCutLayer, which is 2)"},
      {{{"split", "{maxCutLayer: 3}"},
        {"clients", "[{name: a, data: {hostPath: /a}}, {name: b, data: {hostPath: /b}, cutLayer: 4}]"}},
       "spec.clients[1].cutLayer: 4 is above spec.split.maxCutLayer, which is 3",
       R"(spec.clients: cutLayer of ["b"] is above spec.split.maxCutLayer, which is 3)"},
      {{{"split", "{labels: Server, tailBlocks: 1}"}},
       "spec.split.tailBlocks: 1 needs spec.split.labels: Client; with Server the tail is not the client's"},
      {{{"scheduling", "{policy: Budget}"}},
       "spec.scheduling.stepSeconds: 0 is no time; policy Budget expects a number above 0"},
      {{{"split", "{codec: int4}"}},
       "spec.split.codec: int4 is not available yet; expected one of Auto, fp32, bf16, int8"},
      {{{"clients", "[{name: a, data: {hostPath: /a}}, {name: a, data: {hostPath: /c}}]"}},
       "spec.clients[1].name: a is already the name of spec.clients[0]",
       R"(spec.clients[1]: Duplicate value: {"name":"a"})"},
      {{{"output", "{persistentVolumeClaim: results, hostPath: /out}"}},
       "spec.output: persistentVolumeClaim and hostPath are given; expected only one of them",
       "spec.output: expected exactly one of persistentVolumeClaim, hostPath"},
      {{{"output", "{}"}},
       "spec.output: missing; expected one of path, persistentVolumeClaim, hostPath",
       "spec.output: expected exactly one of persistentVolumeClaim, hostPath"},
      {{{"lora", "{rankPattern: {\"h.*\": 4}}"}},
       "spec.lora.rankPattern[\"h.*\"]: the key is not a module's name (letters, digits, '_', '-' and '.', at most "
       "256)",
       "spec.lora.rankPattern: every key must be a module's name (letters, digits, '_', '-' and '.', at most 256)"},
  };
}

inline std::vector<RefusedJob> JobsThatAreTrainedWrong() {
  return {
      {{{"training", "{}"}}, "spec.training: says not how long; expected steps or epochs above 0"},
      {{{"training", "{steps: 5, epochs: 1.5}"}},
       "spec.training: has steps (5) and epochs (1.5); expected only one of them"},
      {{{"training", "{steps: 5, warmupSteps: 6}"}},
       "spec.training.warmupSteps: 6 is above spec.training.steps, which is 5"},
      {{{"training", "{steps: 5, batchSize: 2, microbatches: 3}"}},
       "spec.training.microbatches: 3 is above spec.training.batchSize, which is 2",
       R"(spec.training.microbatches: 3 is above the batchSize of ["hospital", "bank"]; expected at most 2)"},
      {{{"training", "{steps: 1, batchSize: 8, microbatches: 4}"},
        {"clients",
         "[{name: a, data: {hostPath: /a}}, {name: b, data: {hostPath: /b}, batchSize: 2},"
         " {name: c, data: {hostPath: /c}, batchSize: 3}]"}},
       "spec.training.microbatches: 4 is above spec.clients[1].batchSize, which is 2",
       R"(spec.training.microbatches: 4 is above the batchSize of ["b", "c"]; expected at most 2)"},
      {{{"training", "{steps: 5, evaluation: {intervalSteps: 5}}"}},
       "spec.training.evaluation.fraction: 0 leaves nothing to evaluate on every intervalSteps; expected a number "
       "above "
       "0"},
      {{{"training", "{steps: 5, evaluation: {fraction: 0.1}}"}},
       "spec.training.evaluation.intervalSteps: 0 makes no use of fraction, which is 0.1; expected an integer above 0"},
      {{{"training", "{steps: 5, evaluation: {earlyStopping: {patience: 2}}}"}},
       "spec.training.evaluation.earlyStopping.patience: 2 needs evaluations; expected intervalSteps above 0"},
  };
}

inline std::vector<RefusedJob> RefusedJobs() {
  std::vector<RefusedJob> all = JobsThatAreCutWrong();
  for (const RefusedJob& job : JobsThatAreTrainedWrong()) {
    all.push_back(job);
  }
  return all;
}

}  // namespace splitft
