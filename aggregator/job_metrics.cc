#include "aggregator/job_metrics.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace splitft::aggregator {
namespace {

const std::vector<std::string> kJob = {"namespace", "job"};

std::vector<std::string> OfClient(std::initializer_list<const char*> more = {}) {
  std::vector<std::string> labels = {"namespace", "job", "client"};
  labels.insert(labels.end(), more.begin(), more.end());
  return labels;
}

std::vector<std::string> OfJob(const char* more) { return {"namespace", "job", more}; }

// From steps of milliseconds to steps of minutes.
std::vector<double> StepBounds() { return {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250}; }

bool IsUp(const std::string& kind) { return kind.ends_with("Up") || kind == "StepEnd" || kind == "EvalEnd"; }

}  // namespace

JobMetrics::JobMetrics(telemetry::Metrics& metrics, std::string name_space, std::string job)
    : name_space_(std::move(name_space)),
      job_(std::move(job)),
      steps_(metrics.AddCounter({"splitft_job_steps_total", "Optimizer steps done.", kJob})),
      planned_steps_(metrics.AddGauge({"splitft_job_planned_steps", "Steps that there will be.", kJob})),
      loss_(metrics.AddGauge({"splitft_job_loss", "The last step's loss per unmasked token, over all clients.", kJob})),
      eval_loss_(metrics.AddGauge({"splitft_job_eval_loss", "Likewise, of the last evaluation.", kJob})),
      gradient_norm_(
          metrics.AddGauge({"splitft_job_gradient_norm", "Norm of all adapters' gradients, before clipping.", kJob})),
      adapter_norm_(metrics.AddGauge({"splitft_job_adapter_norm", "Norm of all trained adapters' elements.", kJob})),
      learning_rate_(metrics.AddGauge({"splitft_job_learning_rate", "Of the last step.", kJob})),
      tokens_(metrics.AddCounter({"splitft_job_tokens_total", "Tokens trained on, of all clients.", kJob})),
      step_duration_(metrics.AddHistogram(
          {"splitft_job_step_duration_seconds", "How long steps took, evaluations left out.", kJob}, StepBounds())),
      last_step_seconds_(
          metrics.AddGauge({"splitft_job_last_step_seconds",
                            "How long the last step took (total), and the aggregator's part: forward, backward, wait.",
                            OfJob("activity")})),
      aggregator_seconds_(metrics.AddCounter(
          {"splitft_aggregator_seconds_total",
           "Where the aggregator's time in steps went: forward, backward, wait (for clients) or other.",
           OfJob("activity")})),
      restarted_steps_(metrics.AddCounter(
          {"splitft_job_restarted_steps_total", "Steps and evaluations started over, since a client was lost.", kJob})),
      microbatches_(metrics.AddGauge(
          {"splitft_job_microbatches", "Parts that each client's batch was divided into in the last step.", kJob})),
      plans_(metrics.AddCounter({"splitft_job_plans_total",
                                 "Changes of cuts, codecs and microbatches, by what came of them: applied or refused.",
                                 OfJob("result")})),
      discarded_energy_(metrics.AddGauge(
          {"splitft_job_discarded_energy_ratio",
           "Share of the energy of the adapters that the last change gave a lower rank that it cost them.", kJob})),
      client_connected_(metrics.AddGauge({"splitft_client_connected", "1 where it takes part, else 0.", OfClient()})),
      client_losses_(
          metrics.AddCounter({"splitft_client_rejoins_total", "Times it was lost and came back.", OfClient()})),
      client_cut_layer_(metrics.AddGauge({"splitft_client_cut_layer", "Blocks that it runs.", OfClient()})),
      client_cut_limit_(metrics.AddGauge({"splitft_client_cut_limit",
                                          "The highest cut that it may be given, as it was lost soon after it got a "
                                          "higher one; 0: none.",
                                          OfClient()})),
      client_rank_(
          metrics.AddGauge({"splitft_client_rank", "Of the adapters in its last block, next to the cut.", OfClient()})),
      client_codec_(metrics.AddGauge({"splitft_client_codec",
                                      "1 for the codec that its hidden states travel by, 0 for those of before.",
                                      OfClient({"codec"})})),
      client_loss_(metrics.AddGauge({"splitft_client_loss", "Of its own last batch, per unmasked token.", OfClient()})),
      client_tokens_(metrics.AddCounter({"splitft_client_tokens_total", "Tokens of its batches.", OfClient()})),
      client_last_step_tokens_(
          metrics.AddGauge({"splitft_client_last_step_tokens", "Tokens of its last batch.", OfClient()})),
      client_last_step_seconds_(
          metrics.AddGauge({"splitft_client_last_step_seconds",
                            "What it computed in the last step: forward, tail, backward.", OfClient({"phase"})})),
      client_seconds_(
          metrics.AddCounter({"splitft_client_seconds_total",
                              "Where its time in steps went: forward, tail, backward or wait.", OfClient({"phase"})})),
      client_awaited_(metrics.AddCounter(
          {"splitft_client_awaited_seconds_total",
           "How long the aggregator stood still until its frame came, the last that was needed.", OfClient()})),
      client_bytes_(metrics.AddCounter({"splitft_client_bytes_total",
                                        "Tensors' bytes on its wire, by direction (up, down) and kind of frame.",
                                        OfClient({"direction", "kind"})})),
      client_uplink_(metrics.AddGauge({"splitft_client_uplink_bytes_per_second",
                                       "What its wire carries to the aggregator, as measured; 0: more than is felt.",
                                       OfClient()})),
      client_downlink_(
          metrics.AddGauge({"splitft_client_downlink_bytes_per_second", "Likewise, from the aggregator.", OfClient()})),
      client_round_trip_(metrics.AddGauge(
          {"splitft_client_round_trip_seconds", "There and back, beside what bytes take.", OfClient()})),
      client_memory_(
          metrics.AddGauge({"splitft_client_peak_memory_bytes", "The most that its worker has used.", OfClient()})),
      client_memory_limit_(
          metrics.AddGauge({"splitft_client_memory_limit_bytes", "What its worker may use; 0: unknown.", OfClient()})),
      client_cpu_(metrics.AddGauge({"splitft_client_last_step_cpu_seconds",
                                    "What it used of processors in the last step, added up over them.", OfClient()})),
      client_throttled_(metrics.AddGauge(
          {"splitft_client_last_step_throttled_seconds", "Likewise, that its CPU quota held it back.", OfClient()})),
      client_quota_(metrics.AddGauge({"splitft_client_cpu_quota_cores", "Its CPU quota; 0: none.", OfClient()})) {
  // There from the beginning, so that a first one is seen as an increase.
  steps_.Increment({name_space_, job_}, 0);
  discarded_energy_.Set({name_space_, job_}, 0);
  plans_.Increment({name_space_, job_, "applied"}, 0);
  plans_.Increment({name_space_, job_, "refused"}, 0);
}

void JobMetrics::Take(const control::JobEvent& event) {
  const MutexLock lock(mutex_);
  const bool step = event.phase() == control::TRAINING && event.has_figures() && event.step() > last_step_;
  if (step) {
    steps_.Increment({name_space_, job_}, static_cast<double>(event.step() - last_step_));
    last_step_ = event.step();
    TakeStep(event);
  }
  planned_steps_.Set({name_space_, job_}, static_cast<double>(event.total_steps()));
  restarted_steps_.Increment({name_space_, job_},
                             std::max(0, event.attempt() - std::exchange(attempt_, event.attempt())));
  for (const control::ClientState& client : event.clients()) {
    TakeClient(client, step);
  }
}

void JobMetrics::TakeStep(const control::JobEvent& event) const {
  const control::StepFigures& figures = event.figures();
  const telemetry::LabelValues job = {name_space_, job_};
  loss_.Set(job, figures.loss());
  gradient_norm_.Set(job, figures.gradient_norm());
  adapter_norm_.Set(job, figures.adapter_norm());
  learning_rate_.Set(job, figures.learning_rate());
  microbatches_.Set(job, figures.microbatches());
  if (figures.has_eval_loss()) {
    eval_loss_.Set(job, figures.eval_loss());
  }
  tokens_.Increment(job, static_cast<double>(figures.tokens()));
  step_duration_.Observe(job, figures.seconds());
  last_step_seconds_.Set({name_space_, job_, "total"}, figures.seconds());
  last_step_seconds_.Set({name_space_, job_, "forward"}, figures.server_forward_seconds());
  last_step_seconds_.Set({name_space_, job_, "backward"}, figures.server_backward_seconds());
  last_step_seconds_.Set({name_space_, job_, "wait"}, figures.server_wait_seconds());
  const double busy = figures.server_forward_seconds() + figures.server_backward_seconds();
  const auto spent = [&](const char* activity, double seconds) {
    aggregator_seconds_.Increment({name_space_, job_, activity}, std::max(0.0, seconds));
  };
  spent("forward", figures.server_forward_seconds());
  spent("backward", figures.server_backward_seconds());
  spent("wait", figures.server_wait_seconds());
  spent("other", figures.seconds() - busy - figures.server_wait_seconds());
}

void JobMetrics::TakeClient(const control::ClientState& client, bool step) {
  const std::string& name = client.name();
  const telemetry::LabelValues labels = {name_space_, job_, name};
  client_connected_.Set(labels, client.connected() ? 1 : 0);
  client_losses_.Increment(labels, std::max(0, client.restarts() - std::exchange(restarts_[name], client.restarts())));
  client_cut_layer_.Set(labels, client.cut_layer());
  client_cut_limit_.Set(labels, client.cut_limit());
  client_rank_.Set(labels, client.rank());
  if (std::string& codec = codecs_[name]; codec != client.codec()) {
    if (!codec.empty()) {
      client_codec_.Set({name_space_, job_, name, codec}, 0);
    }
    codec = client.codec();
    client_codec_.Set({name_space_, job_, name, codec}, 1);
  }
  if (!step) {
    return;
  }
  client_loss_.Set(labels, client.loss());
  client_tokens_.Increment(labels, static_cast<double>(client.tokens()));
  client_last_step_tokens_.Set(labels, static_cast<double>(client.tokens()));
  client_last_step_seconds_.Set({name_space_, job_, name, "forward"}, client.head_forward_seconds());
  client_last_step_seconds_.Set({name_space_, job_, name, "tail"}, client.tail_seconds());
  client_last_step_seconds_.Set({name_space_, job_, name, "backward"}, client.head_backward_seconds());
  const auto spent = [&](const char* phase, double seconds) {
    client_seconds_.Increment({name_space_, job_, name, phase}, std::max(0.0, seconds));
  };
  spent("forward", client.head_forward_seconds());
  spent("tail", client.tail_seconds());
  spent("backward", client.head_backward_seconds());
  spent("wait", client.wait_seconds());
  client_awaited_.Increment(labels, std::max(0.0, client.awaited_seconds()));
  for (const auto& [kind, bytes] : client.bytes_by_kind()) {
    client_bytes_.Increment({name_space_, job_, name, IsUp(kind) ? "up" : "down", kind}, static_cast<double>(bytes));
  }
  client_uplink_.Set(labels, client.up_bytes_per_second());
  client_downlink_.Set(labels, client.down_bytes_per_second());
  client_round_trip_.Set(labels, client.round_trip_seconds());
  client_memory_.Set(labels, static_cast<double>(client.peak_memory_bytes()));
  client_memory_limit_.Set(labels, static_cast<double>(client.memory_limit_bytes()));
  client_cpu_.Set(labels, client.cpu_seconds());
  client_throttled_.Set(labels, client.throttled_seconds());
  client_quota_.Set(labels, client.cpu_quota());
}

void JobMetrics::Decided(const control::PlanState& state) const {
  const bool applied = state.state() == control::PlanState::APPLIED;
  plans_.Increment({name_space_, job_, applied ? "applied" : "refused"});
  if (applied) {
    discarded_energy_.Set({name_space_, job_}, state.discarded_energy());
  }
}

}  // namespace splitft::aggregator
