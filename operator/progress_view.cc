#include "operator/progress_view.h"

#include <string>
#include <utility>

namespace splitft::controller {

ProgressView ViewOf(const control::JobEvent& event, WallTime changed) {
  ProgressView view{.phase = control::Phase_Name(event.phase()),
                    .step = event.step(),
                    .total_steps = event.total_steps(),
                    .microbatches_plan = event.microbatches_plan(),
                    .microbatches_reason = event.microbatches_reason(),
                    .message = event.message(),
                    .changed = changed};
  if (event.has_figures()) {
    view.loss = event.figures().loss();
    view.step_seconds = event.figures().seconds();
    view.step_tokens = event.figures().tokens();
    view.microbatches = event.figures().microbatches();
    if (event.figures().has_eval_loss()) {
      view.eval_loss = event.figures().eval_loss();
    }
  }
  for (const control::ClientState& client : event.clients()) {
    view.clients.push_back(
        {.name = client.name(),
         .connected = client.connected(),
         .cut_layer = client.cut_layer(),
         .rank = client.rank(),
         .codec = client.codec(),
         .step_seconds = client.head_forward_seconds() + client.tail_seconds() + client.head_backward_seconds(),
         .plan = client.plan(),
         .reason = client.reason()});
  }
  if (event.has_plan()) {
    view.plan = PlanView{.number = event.plan().number(),
                         .state = control::PlanState::State_Name(event.plan().state()),
                         .step = event.plan().step(),
                         .message = event.plan().message()};
  }
  return view;
}

void KeepFigures(const ProgressView& before, ProgressView* view) {
  if (view->step_seconds == 0) {
    view->loss = before.loss;
    view->step_seconds = before.step_seconds;
    view->step_tokens = before.step_tokens;
    view->microbatches = before.microbatches;
  }
  if (!view->eval_loss.has_value()) {
    view->eval_loss = before.eval_loss;
  }
}

bool IsNews(const ProgressView& before, const ProgressView& now) {
  if (before.phase != now.phase || before.clients.size() != now.clients.size()) {
    return true;
  }
  const auto outcome = [](const ProgressView& view) {
    return view.plan.has_value() ? std::pair(view.plan->number, view.plan->state)
                                 : std::pair(uint64_t{0}, std::string());
  };
  if (outcome(before) != outcome(now) || before.unknown.empty() != now.unknown.empty()) {
    return true;
  }
  for (size_t i = 0; i < now.clients.size(); ++i) {
    if (before.clients[i].connected != now.clients[i].connected) {
      return true;
    }
  }
  return false;
}

}  // namespace splitft::controller
