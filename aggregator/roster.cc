#include "aggregator/roster.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "libs/base/status_macros.h"

namespace splitft::aggregator {
namespace {

absl::Status Mismatch(const std::string& client, const std::string& what, uint64_t found, uint64_t expected) {
  return absl::FailedPreconditionError(
      absl::StrCat("client \"", client, "\" has ", what, " ", found, "; this job's is ", expected));
}

absl::Status OtherData(const std::string& client, const char* what, int64_t found, int64_t expected) {
  return absl::FailedPreconditionError(absl::StrCat("client \"", client, "\" comes back with ", found, " ", what,
                                                    "; the job began with ", expected, ": its data has changed"));
}

absl::Status CheckHello(const std::string& client, const protocol::Hello& hello, const JobIdentity& identity) {
  if (hello.protocol_version != protocol::kProtocolVersion) {
    return Mismatch(client, "protocol version", hello.protocol_version, protocol::kProtocolVersion);
  }
  if (hello.model_digest != identity.model_digest) {
    return Mismatch(client, "a model whose config.json has digest", hello.model_digest, identity.model_digest);
  }
  if (hello.hidden_size != identity.hidden_size) {
    return Mismatch(client, "hidden size", static_cast<uint64_t>(hello.hidden_size),
                    static_cast<uint64_t>(identity.hidden_size));
  }
  if (hello.adapter_elements != identity.adapter_elements) {
    return Mismatch(client, "adapters of size", static_cast<uint64_t>(hello.adapter_elements),
                    static_cast<uint64_t>(identity.adapter_elements));
  }
  if (std::find(hello.formats.begin(), hello.formats.end(), identity.format) == hello.formats.end()) {
    return absl::FailedPreconditionError(absl::StrCat("client \"", client, "\" cannot decode ",
                                                      std::string(WireFormatName(identity.format)),
                                                      ", which this job sends"));
  }
  if (hello.train_rows <= 0) {
    return absl::FailedPreconditionError(absl::StrCat("client \"", client, "\" has no sample to train on"));
  }
  return absl::OkStatus();
}

}  // namespace

Roster::Roster(const spec::FineTuneJob& job, const model::AdapterLayout& layout, JobIdentity identity)
    : layout_(&layout), identity_(identity), division_{.microbatches = job.training.microbatches} {
  const int blocks = layout.block_count();
  for (const spec::Client& client : job.clients) {
    Member member{.name = client.name,
                  .weight = client.weight,
                  .batch_size = client.batch_size,
                  .tail_blocks = job.split.tail_blocks};
    Assign(member, {.plan = 0, .cut_layer = client.cut_layer, .format = identity.format});
    member.tail_range = layout.BlockRange(blocks - member.tail_blocks, blocks);
    members_.push_back(std::move(member));
  }
}

void Roster::Assign(Member& member, const protocol::Assignment& assignment) const {
  member.assignment = assignment;
  member.head_range = layout_->BlockRange(0, assignment.cut_layer);
}

absl::Status Roster::Check(const std::string& name, const protocol::Hello& hello) const {
  const auto member = std::find_if(members_.begin(), members_.end(), [&](const Member& m) { return m.name == name; });
  if (member == members_.end()) {
    return absl::NotFoundError(absl::StrCat("this job has no client \"", name, "\""));
  }
  SPLITFT_RETURN_IF_ERROR(CheckHello(name, hello, identity_));
  if (begun_ && hello.train_rows != member->hello.train_rows) {
    return OtherData(name, "rows to train on", hello.train_rows, member->hello.train_rows);
  }
  if (begun_ && hello.eval_batches != member->hello.eval_batches) {
    return OtherData(name, "held-out batches", hello.eval_batches, member->hello.eval_batches);
  }
  return absl::OkStatus();
}

absl::StatusOr<Member*> Roster::Admit(protocol::StreamId stream, const std::string& name,
                                      const protocol::Hello& hello) {
  SPLITFT_RETURN_IF_ERROR(Check(name, hello));
  Member* member = Named(name);
  if (member->stream) {
    return absl::AlreadyExistsError(absl::StrCat("client \"", name, "\" is connected already"));
  }
  member->stream = stream;
  member->hello = hello;
  ++member->joins;
  return member;
}

Member* Roster::Find(protocol::StreamId stream) {
  const auto member =
      std::find_if(members_.begin(), members_.end(), [&](const Member& m) { return m.stream == stream; });
  return member == members_.end() ? nullptr : &*member;
}

Member* Roster::Named(const std::string& name) {
  const auto member = std::find_if(members_.begin(), members_.end(), [&](const Member& m) { return m.name == name; });
  return member == members_.end() ? nullptr : &*member;
}

bool Roster::Complete() const {
  return std::all_of(members_.begin(), members_.end(), [](const Member& m) { return m.stream.has_value(); });
}

}  // namespace splitft::aggregator
