// model_bench: the engine in one process, without split or wire: forward, loss, backward and AdamW over random tokens.
//   model_bench --model DIR --dtype float32|bfloat16 --length T --steps N [--batch 4] [--threads 2]
// Prints one line of JSON: tokens per second (median step), seconds per phase, peak memory, losses.

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <sys/resource.h>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "libs/base/clock.h"
#include "libs/base/flags.h"
#include "libs/base/random.h"
#include "libs/base/status_macros.h"
#include "libs/model/model.h"
#include "libs/train/adapter_state.h"
#include "libs/train/block_stack.h"

namespace splitft {
namespace {

constexpr int kWarmUp = 2;

struct Shape {
  int64_t batch;
  int64_t length;
  int steps;
};

// Seconds of one step, by phase.
struct Phases {
  double forward = 0;
  double loss = 0;
  double backward = 0;
  double optimizer = 0;
  double total() const { return forward + loss + backward + optimizer; }
};

class Engine {
 public:
  static absl::StatusOr<Engine> Load(const std::filesystem::path& path, at::ScalarType dtype) {
    spec::Lora lora;
    SPLITFT_ASSIGN_OR_RETURN(model::ModelDirectory directory, model::ModelDirectory::Open(path));
    lora.target_modules = model::DefaultTargetModules(directory.config().architecture);
    SPLITFT_ASSIGN_OR_RETURN(model::AdapterLayout layout, model::AdapterLayout::Create(directory.config(), lora));
    Engine engine(directory.config(), std::move(layout));
    const train::StackOptions options = {.placement = {.dtype = dtype}};
    SPLITFT_ASSIGN_OR_RETURN(engine.embedding_, model::LoadEmbedding(directory, options.placement));
    SPLITFT_ASSIGN_OR_RETURN(train::BlockStack stack, train::BlockStack::Load(directory, *engine.layout_, 0,
                                                                              directory.config().block_count, options));
    engine.stack_.emplace(std::move(stack));
    SPLITFT_ASSIGN_OR_RETURN(engine.head_, model::LoadLossHead(directory, options.placement));
    return engine;
  }

  // One step on a batch of random tokens.
  absl::StatusOr<double> Step(const Shape& shape, uint64_t number, const Clock& clock, Phases* phases) {
    const at::Tensor ids = RandomIds(shape, number);
    at::Tensor labels = ids.roll(-1);
    labels.view({shape.batch, shape.length}).select(1, shape.length - 1).fill_(model::kIgnoredLabel);
    TimePoint last = clock.Now();
    const auto lap = [&] { return Seconds(clock.Now() - std::exchange(last, clock.Now())); };
    stack_->SetAdapters(state_.parameters());
    const model::BatchPart part = {.runs = {{shape.batch, shape.length}}};
    train::StackTape tape;
    const at::Tensor hidden = stack_->Forward({{0, embedding_->Forward(ids, {{part}}), part}}, &tape);
    phases->forward = lap();
    const model::LossHead::Result loss = head_->Loss(hidden, labels, true);
    phases->loss = lap();
    stack_->Backward(loss.grad_hidden_ND, std::move(tape), false);
    phases->backward = lap();
    at::Tensor gradient = stack_->gradient().clone();
    SPLITFT_RETURN_IF_ERROR(state_.Step(&gradient, static_cast<double>(loss.loss_tokens), 1e-4, 1.0).status());
    phases->optimizer = lap();
    return loss.loss_sum / static_cast<double>(loss.loss_tokens);
  }

 private:
  Engine(const model::ModelConfig& config, model::AdapterLayout layout)
      : vocabulary_(config.vocabulary_size),
        layout_(std::make_unique<model::AdapterLayout>(std::move(layout))),
        state_(layout_->Initialize(0), {0, layout_->size()}, {}, at::kCPU) {}

  at::Tensor RandomIds(const Shape& shape, uint64_t number) const {
    const RandomStream stream({0, RandomPurpose::kSampling, 0, number});
    at::Tensor ids = at::empty({shape.batch * shape.length}, at::kLong);
    for (int64_t i = 0; i < ids.numel(); ++i) {
      ids.data_ptr<int64_t>()[i] =
          static_cast<int64_t>(stream.Below(static_cast<uint64_t>(i), static_cast<uint64_t>(vocabulary_)));
    }
    return ids;
  }

  int64_t vocabulary_;
  std::unique_ptr<model::AdapterLayout> layout_;
  train::AdapterState state_;
  std::unique_ptr<model::Embedding> embedding_;
  std::optional<train::BlockStack> stack_;
  std::unique_ptr<model::LossHead> head_;
};

template <typename Value>
double Median(const std::vector<Phases>& steps, const Value& value) {
  std::vector<double> values;
  for (const Phases& phases : steps) {
    values.push_back(value(phases));
  }
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void Print(const Shape& shape, const std::vector<Phases>& steps, const std::vector<double>& losses) {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto median = [&](auto value) { return Median(steps, value); };
  std::cout << "{\"tokens_per_second\": "
            << static_cast<double>(shape.batch * shape.length) / median([](const Phases& p) { return p.total(); })
            << ", \"forward_seconds\": " << median([](const Phases& p) { return p.forward; })
            << ", \"loss_seconds\": " << median([](const Phases& p) { return p.loss; })
            << ", \"backward_seconds\": " << median([](const Phases& p) { return p.backward; })
            << ", \"optimizer_seconds\": " << median([](const Phases& p) { return p.optimizer; })
            << ", \"peak_memory_bytes\": " << usage.ru_maxrss * 1024 << ", \"losses\": [" << absl::StrJoin(losses, ", ")
            << "]}\n";
}

absl::Status Main(std::span<const char* const> arguments) {
  SPLITFT_ASSIGN_OR_RETURN(const Flags flags,
                           ParseFlags(arguments, {"model", "dtype", "length", "steps"}, {"batch", "threads"}));
  const auto integer = [&](const char* name, int fallback) {
    return IntegerOf(flags, {.name = name, .low = 1, .high = 1 << 20, .fallback = fallback});
  };
  SPLITFT_ASSIGN_OR_RETURN(const int length, integer("length", 0));
  SPLITFT_ASSIGN_OR_RETURN(const int steps, integer("steps", 0));
  SPLITFT_ASSIGN_OR_RETURN(const int batch, integer("batch", 4));
  SPLITFT_ASSIGN_OR_RETURN(const int threads, integer("threads", 2));
  const std::string& dtype = flags.at("dtype");
  if (dtype != "float32" && dtype != "bfloat16") {
    return absl::InvalidArgumentError(absl::StrCat("--dtype is ", dtype, "; expected float32 or bfloat16"));
  }
  at::set_num_threads(threads);
  SPLITFT_ASSIGN_OR_RETURN(Engine engine,
                           Engine::Load(flags.at("model"), dtype == "float32" ? at::kFloat : at::kBFloat16));
  const Shape shape = {batch, length, steps};
  std::vector<Phases> measured;
  std::vector<double> losses;
  for (int step = 0; step < steps + kWarmUp; ++step) {
    Phases phases;
    SPLITFT_ASSIGN_OR_RETURN(const double loss,
                             engine.Step(shape, static_cast<uint64_t>(step), SystemClock(), &phases));
    losses.push_back(loss);
    if (step >= kWarmUp) {
      measured.push_back(phases);
    }
  }
  Print(shape, measured, losses);
  return absl::OkStatus();
}

}  // namespace
}  // namespace splitft

int main(int argc, char** argv) {
  const absl::Status status = splitft::Main({argv + 1, static_cast<size_t>(argc) - 1});
  if (!status.ok()) {
    std::cerr << "model_bench: " << status << "\n";
    return 1;
  }
  return 0;
}
