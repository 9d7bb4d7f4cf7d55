// The manifest, field by field. Defaults are the members' own (job.h); rules between fields are in rules.cc.
#include "libs/spec/fields.h"
#include "libs/spec/text_forms.h"

namespace splitft::spec {
namespace {

constexpr std::string_view kDtypes[] = {"float32", "bfloat16"};
constexpr std::string_view kLabelSides[] = {"Client", "Server"};
constexpr std::string_view kCodecs[] = {"Auto", "fp32", "bf16", "int8", "int4"};
constexpr std::string_view kSchedules[] = {"constant", "linear", "cosine"};
constexpr std::string_view kFormats[] = {"Auto", "text", "jsonl", "csv"};
constexpr std::string_view kRoles[] = {"Worker", "Aggregator"};
constexpr std::string_view kPolicies[] = {"Static", "Makespan", "Budget", "SplitFT"};
constexpr std::string_view kFailureActions[] = {"FailJob", "Restart", "Ignore"};

constexpr int64_t kMostBlocks = 10'000;
constexpr int64_t kMostSteps = 1'000'000'000;
constexpr int64_t kMostSequences = 65'536;
constexpr IntegerRange kRanks = {1, 4096};
constexpr NumberRange kAlphas = {0, 1e6, /*above_low=*/true};
constexpr IntegerRange kBatchSizes = {1, kMostSequences};
constexpr int64_t kMostClients = 1'000;        // the job's status has a line for each, and an object 1.5 MB
constexpr int64_t kMostSeconds = 315'360'000;  // ten years

const SourceField kPathSource = {
    SourceKind::kPath, {"path", "A local path. A relative one starts at the manifest's folder."}, kPathForm};
const SourceField kHubSource = {SourceKind::kHuggingFace,
                                {"huggingFace", "A model on the Hugging Face hub, with a revision if one is given."},
                                kHubForm};
const SourceField kClaimSource = {
    SourceKind::kPersistentVolumeClaim,
    {"persistentVolumeClaim", "A claim in the job's namespace and, after a slash, a path in it. Needs a cluster."},
    kClaimForm};
const SourceField kHostSource = {
    SourceKind::kHostPath, {"hostPath", "An absolute path on the node that runs the pod."}, kAbsolutePathForm};
const SourceField kConfigMapSource = {
    SourceKind::kConfigMap,
    {"configMap",
     "A ConfigMap in the job's namespace and the key that holds the text: for small samples. Needs a cluster."},
    kConfigMapForm};

void VisitMetadata(FieldVisitor& v, FineTuneJob& job) {
  v.Text({"name", "The job's name, and the first part of the name of everything made for it.", /*required=*/true},
         kLabelForm, job.name);
  v.Text({"namespace", "Where in the cluster the job runs."}, kLabelForm, job.name_space);
  v.TextsByKey({"labels", "As Kubernetes has them; kept, not used."}, kKeyForm, job.labels);
  v.TextsByKey(
      {"annotations", "As Kubernetes has them. splitft run proposes splitft.io/example-prompt as a prompt to try."},
      kKeyForm, job.annotations);
}

void VisitModel(FieldVisitor& v, Model& model) {
  v.Group({"source", "Where the base model lies, as a Hugging Face directory. Exactly one of its fields is given."},
          [&] {
            const SourceField kinds[] = {kPathSource, kHubSource, kClaimSource, kHostSource};
            v.OneSource(kinds, /*required=*/true, model.source);
          });
  v.Word({"dtype", "What the base model's weights and activations are computed in. Adapters are always float32."},
         kDtypes, model.dtype);
}

void VisitLora(FieldVisitor& v, Lora& lora) {
  v.Integer({"rank", "Inner dimension of the adapters."}, kRanks, lora.rank);
  v.Number({"alpha", "The adapters' output is scaled by alpha / rank."}, kAlphas, lora.alpha);
  v.Number({"dropout", "Share of an adapter's inputs that training drops."}, {0, 1, false, /*below_high=*/true},
           lora.dropout);
  v.Texts(
      {"targetModules",
       "The linear modules that get an adapter, by their Hugging Face names (q_proj, c_attn); all-linear: every one.",
       false, "what PEFT chooses for the architecture"},
      kModuleForm, lora.target_modules);
  v.Integers(
      {"rankPattern", "Other ranks by module, as in PEFT: layers.3.self_attn.q_proj, or the end of such a name."},
      kModuleForm, kRanks, lora.rank_pattern);
  v.Numbers({"alphaPattern", "Likewise, other alphas by module."}, kModuleForm, kAlphas, lora.alpha_pattern);
  v.Integer({"cutLayerRank",
             "Rank of the adapters on both sides of every client's cut, as in SplitFT; 0: rank. It makes training "
             "inexact where it cuts."},
            {0, kRanks.high}, lora.cut_layer_rank);
  Source initial;
  if (lora.initial_adapter.has_value()) {
    initial.value = lora.initial_adapter->string();
  }
  v.Group({"initialAdapter", "A PEFT adapter to start from."}, [&] {
    const SourceField kinds[] = {kPathSource};
    v.OneSource(kinds, /*required=*/false, initial);
  });
  lora.initial_adapter.reset();
  if (!initial.value.empty()) {
    lora.initial_adapter = initial.value;
  }
}

void VisitSplit(FieldVisitor& v, Split& split) {
  v.Integer({"cutLayer", "Blocks that run on the client, counted from the embedding; clients may have their own."},
            {1, kMostBlocks}, split.cut_layer);
  v.Integer({"minCutLayer", "The least cut any client may ever have: the privacy floor."}, {1, kMostBlocks},
            split.min_cut_layer);
  v.Integer({"maxCutLayer", "The greatest cut any client may ever have; 0: as many blocks as the model has."},
            {0, kMostBlocks}, split.max_cut_layer);
  v.Word({"labels", "Who computes the loss. Server halves the traffic and shows the tokens to the server."},
         kLabelSides, split.labels);
  v.Integer({"tailBlocks", "Last blocks of the model that run on the client too, with its loss."}, {0, kMostBlocks},
            split.tail_blocks);
  v.Boolean({"trainClient", "Whether the client's blocks are trained. If not, no gradient comes back."},
            split.train_client);
  v.Word(
      {"codec",
       "How activations are written on the wire. Auto: in the model's dtype. int8: a quarter of fp32's bytes, rounded. "
       "int4 is not available yet."},
      kCodecs, split.codec);
}

void VisitOptimizer(FieldVisitor& v, Optimizer& optimizer) {
  v.Fixed({"type", "The optimizer."}, "AdamW");
  v.Number({"beta1", "Decay of the gradients' mean."}, {0, 1, false, true}, optimizer.beta1);
  v.Number({"beta2", "Decay of the gradients' mean square."}, {0, 1, false, true}, optimizer.beta2);
  v.Number({"epsilon", "Added to the denominator."}, {0, 1, true}, optimizer.epsilon);
  v.Number({"weightDecay", "Share of an adapter that a step takes away, times the learning rate."}, {0, 1},
           optimizer.weight_decay);
}

void VisitEvaluation(FieldVisitor& v, Evaluation& evaluation) {
  v.Integer({"intervalSteps", "Steps between two evaluations; 0: none."}, {0, 1'000'000'000},
            evaluation.interval_steps);
  v.Number({"fraction", "Share of each client's samples that is held out and evaluated on."}, {0, 0.5},
           evaluation.fraction);
  v.Group({"earlyStopping", "Ends the job when the evaluations' loss no longer falls."}, [&] {
    v.Integer({"patience", "Evaluations without improvement before the job ends; 0: it never ends early."},
              {0, 1'000'000}, evaluation.early_stop_patience);
    v.Number({"minDelta", "By how much the loss must fall to count as improvement."}, {0, 1e6},
             evaluation.early_stop_min_delta);
  });
}

void VisitTraining(FieldVisitor& v, Training& training) {
  v.Integer({"steps", "Optimizer steps. Exactly one of steps and epochs is above 0."}, {0, kMostSteps}, training.steps);
  v.Number({"epochs", "Passes of the client with the most batches over its own data; may be a fraction."}, {0, 1e6},
           training.epochs);
  v.Integer({"batchSize", "Sequences per client and step; clients may have their own."}, kBatchSizes,
            training.batch_size);
  v.Integer(
      {"microbatches",
       "Parts that a batch is divided into, so that client, wire and server work at once; with Makespan and Budget "
       "what the job begins with, and the fewest."},
      {1, kMostSequences}, training.microbatches);
  v.Integer({"sequenceLength", "Tokens per sequence; longer samples are cut."}, {2, 1'048'576},
            training.sequence_length);
  v.Boolean({"packing", "Whether several samples share a sequence. None attends to another."}, training.packing);
  v.Group({"optimizer", "Constants of the optimizer, named as in torch.optim.AdamW."},
          [&] { VisitOptimizer(v, training.optimizer); });
  v.Number({"learningRate", "The highest learning rate of the schedule."}, {0, 10, /*above_low=*/true},
           training.learning_rate);
  v.Word({"schedule", "How the learning rate goes on after warm-up: it stays, or falls to 0."}, kSchedules,
         training.schedule);
  v.Integer({"warmupSteps", "Steps over which the learning rate rises from 0."}, {0, kMostSteps},
            training.warmup_steps);
  v.Number({"maxGradNorm", "Gradients are scaled down to this norm over all adapters; 0: never."}, {0, 1e6},
           training.max_grad_norm);
  // Kubernetes has signed 64-bit integers.
  v.Integer({"seed", "Of every random draw. The same seed gives the same job, bit for bit on CPU."}, {0, INT64_MAX},
            training.seed);
  v.Group({"evaluation", "The loss on samples that are not trained on."},
          [&] { VisitEvaluation(v, training.evaluation); });
}

void VisitData(FieldVisitor& v, Data& data) {
  const SourceField kinds[] = {kPathSource, kClaimSource, kHostSource, kConfigMapSource};
  v.OneSource(kinds, /*required=*/true, data.source);
  v.Word({"format", "What the file holds. Auto: by its name, jsonl or csv where it ends so, else text."}, kFormats,
         data.format);
  v.Group({"columns", "How the columns of a csv file, or the members of a jsonl file's records, are called."}, [&] {
    v.Text({"text", "The column of a plain sample."}, kColumnForm, data.text_column);
    v.Text({"prompt", "The column of a sample's prompt."}, kColumnForm, data.prompt_column);
    v.Text({"completion", "The column of the completion that goes with the prompt."}, kColumnForm,
           data.completion_column);
    v.Text({"messages", "The member with a chat's messages (jsonl only)."}, kColumnForm, data.messages_column);
  });
  v.Boolean({"maskPrompt", "Whether the prompt's tokens are left out of the loss."}, data.mask_prompt);
}

void VisitClient(FieldVisitor& v, Client& client) {
  v.Text({"name", "The client's name, unique in the job.", /*required=*/true}, kLabelForm, client.name);
  v.Group(
      {"data",
       "The client's text, which never leaves it. Exactly one of path, persistentVolumeClaim, hostPath and configMap."},
      [&] { VisitData(v, client.data); });
  v.Integer({"cutLayer", "This client's cut.", false, "spec.split.cutLayer"}, {1, kMostBlocks}, client.cut_layer);
  v.Integer({"batchSize", "This client's sequences per step.", false, "spec.training.batchSize"}, kBatchSizes,
            client.batch_size);
  v.Number({"weight", "Factor of this client's losses."}, {0, 1e6, /*above_low=*/true}, client.weight);
  v.Text({"device", "Where the client computes; auto: the first GPU, if there is one."}, kDeviceForm, client.device);
  v.Opaque({"template", "What this client's pod has of its own; laid over spec.workers.template."},
           client.pod_template);
}

void VisitScheduling(FieldVisitor& v, Scheduling& scheduling) {
  v.Word({"policy",
          "Static: cuts, codecs and microbatches stay as they are given. Makespan: those of the shortest step. Budget: "
          "those that leave the aggregator the least to do in steps of stepSeconds. SplitFT: the paper's rule, a block "
          "more for whoever is more accurate than the mean."},
         kPolicies, scheduling.policy);
  v.Integer({"roundSteps", "Steps from one decision to the next."}, {1, 1'000'000}, scheduling.round_steps);
  v.Integer({"paybackRounds", "Within how many rounds a change must pay for itself."}, {1, 1'000'000},
            scheduling.payback_rounds);
  v.Texts({"codecs",
           "The codecs that a client may be given (fp32, bf16, int8). The loss is that of one machine only with the "
           "codec of the model's own dtype.",
           false, "the one that the job begins with"},
          kCodecForm, scheduling.codecs);
  v.Number({"stepSeconds", "Budget only: how long a step may take."}, {0, 86'400}, scheduling.step_seconds);
}

void VisitFailureRule(FieldVisitor& v, FailureRule& rule) {
  v.Word({"role", "Whose program ended.", /*required=*/true}, kRoles, rule.role);
  v.IntegerList({"onExitCodes",
                 "The exit codes that the rule is for: 1 the job failed, 2 the manifest is wrong, 3 model or data "
                 "cannot be used, 4 a peer was lost, 137 killed, as when memory runs out.",
                 false, "any"},
                {1, 255}, rule.exit_codes);
  v.Word({"action",
          "FailJob: the job fails at once. Restart: the pod is made again, as often as backoffLimit says. Ignore: it "
          "is made again and not counted.",
          /*required=*/true},
         kFailureActions, rule.action);
}

void VisitLifecycle(FieldVisitor& v, Lifecycle& lifecycle) {
  v.Boolean({"suspend", "Whether the job is held back. Its pods are deleted, and made again when this is false."},
            lifecycle.suspend);
  v.Seconds({"activeDeadlineSeconds", "How long the job may run before it fails; resuming it begins anew.", false,
             "no limit"},
            {1, kMostSeconds}, lifecycle.active_deadline);
  v.Seconds({"startDeadlineSeconds",
             "How long it may take until every pod is up and connected before the job fails; 0: no limit."},
            {0, kMostSeconds}, lifecycle.start_deadline);
  v.Seconds({"stallTimeoutSeconds", "How long a step may take before the job fails as stalled; 0: no limit."},
            {0, kMostSeconds}, lifecycle.stall_timeout);
  v.Seconds({"ttlSecondsAfterFinished", "How long the job is kept after its end. Its output stays.", false, "for ever"},
            {0, kMostSeconds}, lifecycle.ttl_after_finished);
  v.Integer({"backoffLimit", "How often each worker, and the aggregator, is made again before the job fails."},
            {0, 1'000}, lifecycle.backoff_limit);
  v.List({"failureRules",
          "What follows when a program ends with an error: what the first rule says that fits. Where none fits, codes "
          "1, 2 and 3 fail the job, for another try would end alike, and all others restart the pod."},
         {0, 20}, lifecycle.failure_rules, FailureRule(), [&](FailureRule& rule) { VisitFailureRule(v, rule); });
  v.Text({"managedBy", "Which controller acts on the job. Under another name splitft's operator leaves it alone."},
         kManagedByForm, lifecycle.managed_by);
}

}  // namespace

void VisitFields(FieldVisitor& v, FineTuneJob& job) {
  v.Fixed({"apiVersion", "The manifest's version.", /*required=*/true}, "splitft.io/v1alpha1");
  v.Fixed({"kind", "What this is.", /*required=*/true}, "FineTuneJob");
  v.Group({"metadata", "What the job is called."}, [&] { VisitMetadata(v, job); });
  v.Group({"spec", "What is to be trained, on what, and how."}, [&] {
    v.Group({"model", "The base model, which stays as it is."}, [&] { VisitModel(v, job.model); });
    v.Group({"lora", "The adapters that are trained; names as in PEFT."}, [&] { VisitLora(v, job.lora); });
    v.Group({"split", "Where the model is cut."}, [&] { VisitSplit(v, job.split); });
    v.Group({"training", "How long and in which steps."}, [&] { VisitTraining(v, job.training); });
    const Client blank = {.cut_layer = job.split.cut_layer, .batch_size = job.training.batch_size};
    v.List({"clients", "The owners of data.", /*required=*/true}, {1, kMostClients}, job.clients, blank,
           [&](Client& client) { VisitClient(v, client); });
    v.Group({"workers", "The clients' side, one worker for each client."}, [&] {
      v.Opaque({"template", "What every worker's pod has beyond what splitft gives it, in a pod template's form."},
               job.workers.pod_template);
    });
    v.Group({"aggregator", "The server side."}, [&] {
      v.Text({"device", "Where the aggregator computes; auto: the first GPU, if there is one."}, kDeviceForm,
             job.aggregator.device);
      v.Opaque({"template", "What the aggregator's pod has beyond what splitft gives it, in a pod template's form."},
               job.aggregator.pod_template);
    });
    v.Group(
        {"output", "Where the adapter, the report and the metrics are written. Exactly one of its fields is given."},
        [&] {
          const SourceField kinds[] = {kPathSource, kClaimSource, kHostSource};
          v.OneSource(kinds, /*required=*/true, job.output);
        });
    v.Group({"scheduling", "How cuts, codecs and microbatches follow what is measured while the job runs."},
            [&] { VisitScheduling(v, job.scheduling); });
    VisitLifecycle(v, job.lifecycle);
  });
}

}  // namespace splitft::spec
