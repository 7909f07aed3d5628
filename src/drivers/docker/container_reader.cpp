#include "drivers/docker/container_reader.h"

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <set>

#include "drivers/docker/decode.h"

namespace berth::drivers::docker {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kReadersOfAGroup = 64;
constexpr std::size_t kMostGroups = 4;
constexpr milliseconds kShareOfOne{3000};
constexpr milliseconds kFreshEnough{1000};
constexpr milliseconds kLeastFactsAge{30'000};
constexpr milliseconds kMostFactsAge{60'000};
constexpr milliseconds kSilence{10'000};

milliseconds part(milliseconds whole, int percent) {
  return whole * percent / 100;
}

bool is_measurable(compute::Status status) {
  return status == compute::Status::running || status == compute::Status::frozen;
}

/// What seldom changes.
void use_facts(const compute::Instance& facts, compute::Instance& instance) {
  instance.created_at = facts.created_at;
  instance.description = facts.description;
  instance.owner = facts.owner;
  instance.image = facts.image;
  instance.limits = facts.limits;
}

/// How long facts of that container are kept. Not the same time for all: those that were inspected in one read would
/// be inspected in one read again, which would then take longer than others.
milliseconds facts_age_of(const std::string& id) {
  const auto span = static_cast<std::size_t>((kMostFactsAge - kLeastFactsAge).count());
  return kLeastFactsAge + milliseconds(std::hash<std::string>{}(id) % span);
}

Instant now() {
  return std::chrono::steady_clock::now();
}

}  // namespace

ContainerReader::ContainerReader(Api& api) : api_(api) {}

ContainerReader::~ContainerReader() = default;

WorkerPool& ContainerReader::readers_of(std::size_t running) {
  const std::size_t group = running / kReadersOfAGroup % kMostGroups;
  const std::lock_guard lock(mutex_);
  while (readers_.size() <= group) {
    readers_.push_back(std::make_unique<WorkerPool>(
        WorkerPool::Settings{.name = "docker-read", .threads = kReadersOfAGroup, .queue_limit = 100'000}));
  }
  return *readers_[group];
}

/// What the readers of one list share with the one who waits for them; outlives a wait that was given up.
struct ContainerReader::Reading {
  std::mutex mutex;
  std::condition_variable done;
  std::size_t open = 0;
  std::vector<compute::Instance> instances;
  bool given_up = false;
};

Result<std::vector<compute::Instance>> ContainerReader::list(Deadline deadline) {
  const auto document = BERTH_TRY(api_.get("/containers/json?all=true", {}, deadline));
  if (!document.root().is_array()) return nonsense("the containers are no list");
  const std::string architecture = BERTH_TRY(api_.version(deadline)).architecture;

  const auto reading = std::make_shared<Reading>();
  std::set<std::string> present;
  for (const auto entry : document.root().elements()) {
    compute::Instance instance = BERTH_TRY(decode_listed(entry));
    instance.architecture = architecture;
    present.insert(instance.engine_id);
    use_known(instance, false);
    reading->instances.push_back(std::move(instance));
  }
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(known_, [&](const auto& entry) { return !present.contains(entry.first); });
  }

  reading->open = reading->instances.size();
  const Deadline share = deadline.sooner(part(deadline.remaining(), 80));
  // From a copy: a reader that is already done changes the list itself.
  const std::vector<compute::Instance> listed = reading->instances;
  std::size_t running = 0;
  for (std::size_t i = 0; i < listed.size(); ++i) {
    WorkerPool& readers = readers_of(is_measurable(listed[i].status) ? running++ : 0);
    const bool taken = readers.submit([this, reading, i, share, instance = listed[i]]() mutable {
      {
        const std::lock_guard lock(reading->mutex);
        if (reading->given_up) return;
      }
      complete(instance, share);
      const std::lock_guard lock(reading->mutex);
      if (!reading->given_up) reading->instances[i] = std::move(instance);
      if (--reading->open == 0) reading->done.notify_all();
    });
    if (!taken) return compute::engine_unavailable().with_detail("too many reads are waiting");
  }

  std::unique_lock lock(reading->mutex);
  reading->done.wait_until(lock, share.at(), [&] { return reading->open == 0; });
  reading->given_up = true;
  return std::move(reading->instances);
}

Result<compute::Instance> ContainerReader::get(const std::string& name, Deadline deadline) {
  const auto subject = Subject::of_container(name);
  const std::string path = BERTH_TRY(api_.container_path(name, deadline));
  const auto document = BERTH_TRY(api_.get(path + "/json", subject, deadline));
  compute::Instance instance = BERTH_TRY(decode_inspected(document.root()));
  if (instance.name != name && instance.engine_id != name) return compute::instance_not_found(name);
  instance.architecture = BERTH_TRY(api_.version(deadline)).architecture;
  use_known(instance, true);
  measure_later(instance);
  return instance;
}

void ContainerReader::measure_later(const compute::Instance& instance) {
  if (!is_measurable(instance.status)) return;
  {
    const std::lock_guard lock(mutex_);
    Known& known = known_[instance.engine_id];
    if (known.measuring || now() - known.measured < kFreshEnough) return;
    known.measuring = true;
  }
  const bool taken = readers_of(0).submit([this, instance = instance]() mutable {
    measure(instance, Deadline::after(kShareOfOne));
    const std::lock_guard lock(mutex_);
    if (const auto known = known_.find(instance.engine_id); known != known_.end()) known->second.measuring = false;
  });
  if (taken) return;
  const std::lock_guard lock(mutex_);
  known_[instance.engine_id].measuring = false;
}

void ContainerReader::use_known(compute::Instance& instance, bool inspected) {
  // Nothing counted yet is counted as nothing just now.
  if (is_measurable(instance.status)) instance.measured = now();
  const std::lock_guard lock(mutex_);
  const auto known = known_.find(instance.engine_id);
  if (known == known_.end()) return;
  if (!inspected && known->second.facts) use_facts(*known->second.facts, instance);
  if (!is_measurable(instance.status) || known->second.measured == Instant{}) return;
  instance.counters = known->second.counters;
  instance.measured = known->second.measured;
}

std::uint64_t ContainerReader::changes_of(const std::string& id) {
  const std::lock_guard lock(mutex_);
  return known_[id].changes;
}

void ContainerReader::remember(const compute::Instance& facts, std::uint64_t changes) {
  const std::lock_guard lock(mutex_);
  Known& known = known_[facts.engine_id];
  if (known.changes != changes) return;
  known.facts = facts;
  known.inspected = now();
}

void ContainerReader::complete(compute::Instance& instance, Deadline deadline) {
  bool fresh = false;
  {
    const std::lock_guard lock(mutex_);
    const auto known = known_.find(instance.engine_id);
    fresh =
        known != known_.end() && known->second.facts && now() - known->second.inspected < facts_age_of(known->first);
    if (known != known_.end() && now() < known->second.silent_until) return;
  }
  if (!fresh) inspect(instance, deadline);
  measure(instance, deadline);
}

void ContainerReader::inspect(compute::Instance& instance, Deadline deadline) {
  const std::uint64_t changes = changes_of(instance.engine_id);
  const auto document = api_.get(path_of_container(instance.engine_id) + "/json", Subject::of_container(instance.name),
                                 deadline.sooner(kShareOfOne));
  if (!document) {
    if (document.error().code() != ErrorCode::deadline_exceeded || deadline.expired()) return;
    const std::lock_guard lock(mutex_);
    known_[instance.engine_id].silent_until = now() + kSilence;
    return;
  }
  const auto facts = decode_inspected(document->root());
  if (!facts) return;
  use_facts(*facts, instance);
  remember(*facts, changes);
}

void ContainerReader::measure(compute::Instance& instance, Deadline deadline) {
  if (!is_measurable(instance.status)) return;
  {
    const std::lock_guard lock(mutex_);
    if (const auto known = known_.find(instance.engine_id);
        known != known_.end() && now() < known->second.silent_until) {
      return;
    }
  }
  const auto document = api_.get(path_of_container(instance.engine_id) + "/stats?stream=false&one-shot=true",
                                 Subject::of_container(instance.name), deadline.sooner(kShareOfOne));
  const std::lock_guard lock(mutex_);
  if (!document) {
    // Where the time was over for the whole list, it is not this container's fault.
    if (document.error().code() == ErrorCode::deadline_exceeded && !deadline.expired()) {
      known_[instance.engine_id].silent_until = now() + kSilence;
    }
    return;
  }
  if (!has_counters(document->root())) return;
  instance.counters = decode_counters(document->root());
  instance.measured = now();
  Known& known = known_[instance.engine_id];
  known.counters = instance.counters;
  known.measured = instance.measured;
}

void ContainerReader::forget(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto known = known_.find(id);
  if (known == known_.end()) return;
  known->second.facts.reset();
  ++known->second.changes;
}

void ContainerReader::forget_all() {
  const std::lock_guard lock(mutex_);
  for (auto& [id, known] : known_) {
    known.facts.reset();
    ++known.changes;
  }
}

}  // namespace berth::drivers::docker
