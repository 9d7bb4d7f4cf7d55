#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "libs/protocol/frame.h"
#include "libs/spec/job.h"
#include "libs/telemetry/log.h"
#include "libs/train/batches.h"
#include "libs/train/job_setup.h"

namespace splitft::worker {

// The job's client `name`. NotFound, with the names there are.
absl::StatusOr<const spec::Client*> FindClient(const spec::FineTuneJob& job, const std::string& name);

// Reads and tokenizes the client's own data, and logs counts, never content. Errors are LoadDataset's and
// Tokenizer::Load's; InvalidArgument where the tokenizer knows ids that the model does not.
absl::StatusOr<train::BatchSampler> LoadBatches(const train::JobSetup& setup, const spec::Client& client,
                                                const telemetry::Log& log);

// What the client says of itself to join.
protocol::Hello HelloOf(const train::JobSetup& setup, const train::BatchSampler& sampler);

}  // namespace splitft::worker
