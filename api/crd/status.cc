#include "api/crd/status.h"

#include "api/crd/vocabulary.h"
#include "libs/spec/schema.h"

namespace splitft::crd {
namespace {

constexpr int kLongestName = 253;
constexpr int kLongestReason = 1024;
constexpr int kLongestMessage = 32'768;  // as in Kubernetes' own conditions
constexpr int kLongestFigure = 32;
constexpr int kLongestSummary = 64;

Json Count(std::string_view description) { return Integer(description, 0, kGreatestExactInteger); }

Json Figure(std::string_view description) { return Text(description, kLongestFigure); }

int MostClients() {
  for (const spec::FieldInfo& field : spec::KnownFields()) {
    if (field.path == "spec.clients") {
      return static_cast<int>(field.integers.high);
    }
  }
  return 1;
}

Names StateNames() {
  Names names;
  for (const Term& state : States()) {
    names.push_back(state.name);
  }
  return names;
}

Json Conditions() {
  const Json condition =
      Object("",
             {
                 {"type", Text("What it says: Suspended, Running, Degraded, SchedulingHeld, Complete or Failed.", 316,
                               "([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
                               "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")},
                 {"status", Word("Whether it holds.", {"True", "False", "Unknown"})},
                 {"observedGeneration", Count("The metadata.generation that it was judged for.")},
                 {"lastTransitionTime", Time("When status last changed.")},
                 {"reason", Text("The cause in one word, such as ImagePullBackOff, OutOfMemory or StepStalled.",
                                 kLongestReason, "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?")},
                 {"message", Text("The cause in a sentence: which pod, and what it said.", kLongestMessage)},
             },
             {"type", "status", "lastTransitionTime", "reason", "message"});
  return ListBy("type", "What holds of the job, with the true cause of it. kubectl wait --for=condition=Complete.",
                condition, 16);
}

Json Progress() {
  return Object(
      "How far the job is; as of the last finished step.",
      {
          {"step", Count("Finished steps.")},
          {"totalSteps", Count("Steps that there will be.")},
          {"percent", Integer("Share of them that is finished.", 0, 100)},
          {"loss", Figure("The last step's loss per token, with 4 decimals; as everywhere in status, a string, "
                          "since kubectl prints numbers with all their digits.")},
          {"evalLoss", Figure("Likewise, of the last evaluation on held-out samples.")},
          {"tokensPerSecond", Count("Trained tokens of all clients per second, over the last steps.")},
          {"remainingSeconds", Count("How long the remaining steps take at that rate.")},
          {"microbatches", Count("Parts that each client's batch is divided into at present.")},
      });
}

Json Summary() {
  return Object(
      "The same figures as kubectl get shows them.",
      {
          {"steps", Text("Finished and all steps: 120/300.", kLongestSummary)},
          {"remaining", Text("How long it will take: 4m10s.", kLongestSummary)},
          {"clients", Text("Clients that are connected, of all: 3/3.", kLongestSummary)},
          {"cuts", Text("The clients' cuts in their order, shortened where there are many: 1,2,2.", kLongestSummary)},
      });
}

Json Clients() {
  const Json client = Object("",
                             {
                                 {"name", Text("The client's name in spec.", 63)},
                                 {"pod", Text("Its worker's pod.", kLongestName)},
                                 {"ready", Boolean("Whether it is connected to the aggregator and takes part.")},
                                 {"cutLayer", Count("Blocks that run on it at present.")},
                                 {"rank", Count("Rank of the adapters of its last block.")},
                                 {"codec", Text("How its activations travel.", kLongestFigure)},
                                 {"lastStep", Count("The last step that it finished.")},
                                 {"stepSeconds", Figure("How long its steps take, with 3 decimals.")},
                                 {"restarts", Count("How often its pod was made again.")},
                                 {"reason", Text("Why it is not ready, or why its cut was changed.", kLongestReason)},
                             },
                             {"name"});
  return ListBy("name", "What is known of each client.", client, MostClients());
}

Json Scheduled() {
  return Object("What became of the scheduler's last change of cuts, codecs and microbatches.",
                {
                    {"number", Count("Which one it was; each is greater than those before.")},
                    {"state", Word("Preparing: clients load what they lack.", {"Preparing", "Applied", "Refused"})},
                    {"step", Count("Steps that were done before it came into force, or was refused.")},
                    {"message", Text("Why it was refused.", kLongestMessage)},
                });
}

Json Aggregators() {
  const Json aggregator = Object("",
                                 {
                                     {"name", Text("Its name in the job.", 63)},
                                     {"pod", Text("Its pod.", kLongestName)},
                                     {"ready", Boolean("Whether it takes part.")},
                                     {"device", Text("What it computes on.", kLongestFigure)},
                                     {"restarts", Count("How often its pod was made again.")},
                                     {"reason", Text("Why it is not ready.", kLongestReason)},
                                 },
                                 {"name"});
  return ListBy("name", "What is known of the server side.", aggregator, 64);
}

Json Adapter() {
  return Object("What came out; there when the job is Complete.",
                {
                    {"path", Text("Where it lies: the volume of spec.output and the folder in it.", 4096)},
                    {"sha256", Text("SHA-256 of adapter_model.safetensors, in hexadecimal.", 64, "[0-9a-f]{64}")},
                });
}

Json Column(const char* name, const char* type, const char* path, const char* description, bool wide = false) {
  Json column = {{"name", name}, {"type", type}, {"jsonPath", path}, {"description", description}};
  if (wide) {
    column["priority"] = 1;
  }
  return column;
}

}  // namespace

Json StatusSchema() {
  return Object("What the operator knows of the job. Nobody else writes it.",
                {
                    {"state", Word("The job's state in one word; conditions say why.", StateNames())},
                    {"observedGeneration", Count("The metadata.generation that this status speaks of.")},
                    {"attempt", Count("How often the training was begun or taken up, counted from 1.")},
                    {"startTime", Time("When the pods were first made, or made again after the job was suspended.")},
                    {"completionTime", Time("When the job became Complete or Failed.")},
                    {"conditions", Conditions()},
                    {"progress", Progress()},
                    {"summary", Summary()},
                    {"clients", Clients()},
                    {"plan", Scheduled()},
                    {"aggregators", Aggregators()},
                    {"adapter", Adapter()},
                });
}

Json PrinterColumns() {
  return Json::array({
      Column("State", "string", ".status.state", "The job's state"),
      Column("Step", "string", ".status.summary.steps", "Finished and all steps"),
      Column("Loss", "string", ".status.progress.loss", "The last step's loss"),
      Column("ETA", "string", ".status.summary.remaining", "How long the remaining steps take"),
      Column("Clients", "string", ".status.summary.clients", "Connected and all clients"),
      Column("Age", "date", ".metadata.creationTimestamp", "Time since the job was made"),
      Column("Cuts", "string", ".status.summary.cuts", "The clients' cuts", /*wide=*/true),
      Column("Tokens/s", "integer", ".status.progress.tokensPerSecond", "Trained tokens per second", /*wide=*/true),
  });
}

}  // namespace splitft::crd
