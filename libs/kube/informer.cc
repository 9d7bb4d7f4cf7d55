#include "libs/kube/informer.h"

#include <utility>

#include "libs/kube/api_error.h"
#include "libs/kube/stoppable_wait.h"

namespace splitft::kube {
namespace {

// A server that ends its watches in time needs a little more than that.
constexpr auto kIdleMargin = std::chrono::seconds(15);

}  // namespace

Informer::Informer(Transport& transport, const Clock& clock, Options options)
    : transport_(transport), clock_(clock), options_(std::move(options)), machine_(options_.machine) {
  machine_.set_leave_out(options_.leave_out);
  machine_.set_trim(options_.trim);
}

Informer::~Informer() { Stop(); }

void Informer::Start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
}

void Informer::Stop() {
  if (thread_.joinable()) {
    thread_.request_stop();
    thread_.join();
  }
}

bool Informer::WaitForSync(TimePoint deadline) const {
  const MutexLock lock(mutex_);
  while (!synced_) {
    if (!changed_.WaitUntil(mutex_, deadline) && !synced_) {
      return false;
    }
  }
  return true;
}

bool Informer::WaitForVersion(std::string_view resource_version, TimePoint deadline) const {
  const MutexLock lock(mutex_);
  while (CompareResourceVersions(resource_version_, resource_version) < 0) {
    if (!changed_.WaitUntil(mutex_, deadline)) {
      return CompareResourceVersions(resource_version_, resource_version) >= 0;
    }
  }
  return true;
}

bool Informer::HasVersion(std::string_view resource_version) const {
  const MutexLock lock(mutex_);
  return CompareResourceVersions(resource_version_, resource_version) >= 0;
}

Object Informer::Get(const ObjectKey& key) const {
  const MutexLock lock(mutex_);
  const auto found = objects_.find(key);
  return found == objects_.end() ? nullptr : found->second;
}

std::vector<Object> Informer::List() const {
  const MutexLock lock(mutex_);
  std::vector<Object> objects;
  objects.reserve(objects_.size());
  for (const auto& [key, object] : objects_) {
    objects.push_back(object);
  }
  return objects;
}

std::vector<Object> Informer::ByIndex(const std::string& index, const std::string& value) const {
  const MutexLock lock(mutex_);
  std::vector<Object> objects;
  const auto named = indexes_.find(index);
  if (named == indexes_.end()) {
    return objects;
  }
  if (const auto keys = named->second.find(value); keys != named->second.end()) {
    for (const ObjectKey& key : keys->second) {
      objects.push_back(objects_.at(key));
    }
  }
  return objects;
}

size_t Informer::size() const {
  const MutexLock lock(mutex_);
  return objects_.size();
}

void Informer::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const WatchMachine::Step step = machine_.Next(clock_.Now());
    if (const auto* wait = std::get_if<WatchMachine::Wait>(&step)) {
      WaitUnlessStopped(wait->until, stop);
    } else if (const auto* page = std::get_if<WatchMachine::ListPage>(&step)) {
      ListOnce(*page);
    } else {
      WatchOnce(std::get<WatchMachine::Watch>(step), stop);
    }
  }
}

void Informer::ListOnce(const WatchMachine::ListPage& page) {
  const ListOptions list{.name_space = options_.name_space,
                         .label_selector = options_.label_selector,
                         .field_selector = {},
                         .limit = options_.machine.page_size,
                         .continue_token = page.continue_token,
                         .resource_version = {}};  // what is newest: the server's cache may be older than ours
  const absl::StatusOr<Response> response = transport_.Send(ListRequest(options_.type, list), options_.list_timeout);
  absl::Status error = response.status();
  if (response.ok() && response->status != 200) {
    error = ToStatus(ParseApiError(response->status, response->body, response->retry_after));
  }
  const bool relists = machine_.synced() && page.continue_token.empty();
  std::vector<Change> changes;
  if (error.ok()) {
    error = machine_.OnPage(response->body, &changes);
  }
  if (!error.ok()) {
    Failed(error);
    return machine_.OnListError(error, clock_.Now());
  }
  if (relists && options_.on_relist) {
    options_.on_relist();
  }
  Publish(changes);
}

void Informer::WatchOnce(const WatchMachine::Watch& watch, const std::stop_token& stop) {
  const Request request = WatchRequest(options_.type, {.name_space = options_.name_space,
                                                       .label_selector = options_.label_selector,
                                                       .field_selector = {},
                                                       .resource_version = watch.resource_version,
                                                       .timeout = options_.watch_timeout});
  LineSplitter lines;
  const absl::Status status =
      transport_.Stream(request, options_.watch_timeout + kIdleMargin, stop, [&](std::string_view bytes) {
        std::vector<Change> changes;
        const absl::Status taken =
            lines.Append(bytes, [&](std::string_view line) { return machine_.OnLine(line, &changes); });
        Publish(changes);
        return taken;
      });
  if (stop.stop_requested()) {
    return;
  }
  if (!status.ok()) {
    Failed(status);
  }
  machine_.OnWatchEnd(absl::IsDeadlineExceeded(status) ? absl::OkStatus() : status, clock_.Now());
}

void Informer::Publish(const std::vector<Change>& changes) {
  {
    const MutexLock lock(mutex_);
    for (const Change& change : changes) {
      const auto known = objects_.find(change.key);
      Reindex(change, known == objects_.end() ? nullptr : known->second);
      if (change.kind == Change::Kind::kGone) {
        objects_.erase(change.key);
      } else {
        objects_[change.key] = change.object;
      }
    }
    resource_version_ = machine_.resource_version();
    synced_ = machine_.synced();
  }
  changed_.SignalAll();
  for (const Change& change : changes) {
    for (const Listener& listener : listeners_) {
      listener(change);
    }
  }
}

void Informer::Reindex(const Change& change, const Object& before) {
  for (const auto& [name, indexer] : options_.indexes) {
    Index& index = indexes_[name];
    if (before != nullptr) {
      for (const std::string& value : indexer(*before)) {
        const auto keys = index.find(value);
        if (keys != index.end()) {
          keys->second.erase(change.key);
          if (keys->second.empty()) {
            index.erase(keys);
          }
        }
      }
    }
    if (change.kind == Change::Kind::kSet) {
      for (const std::string& value : indexer(*change.object)) {
        index[value].insert(change.key);
      }
    }
  }
}

void Informer::Failed(const absl::Status& error) const {
  if (options_.on_error) {
    options_.on_error(error);
  }
}

}  // namespace splitft::kube
