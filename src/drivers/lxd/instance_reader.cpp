#include "drivers/lxd/instance_reader.h"

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <set>

#include "base/log.h"
#include "drivers/lxd/decode.h"

namespace berth::drivers::lxd {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kReaders = 8;
constexpr std::size_t kProbes = 4;
constexpr milliseconds kShareOfOne{1000};  // one instance's share of a careful list
constexpr milliseconds kLongestGet{5000};
constexpr milliseconds kPatientProbe{600'000};
constexpr milliseconds kCrowdedProbe{15'000};     // where more hang than can be waited for at a time
constexpr milliseconds kConfigurationTime{8000};  // LXD gives up on the state after 5 s and answers the rest

milliseconds part(milliseconds whole, int percent) {
  return whole * percent / 100;
}

bool is_timeout(const Error& error) {
  return error.code() == ErrorCode::deadline_exceeded;
}

}  // namespace

InstanceReader::InstanceReader(Api& api)
    : api_(api),
      readers_({.name = "lxd-read", .threads = kReaders, .queue_limit = 100'000}),
      probes_({.name = "lxd-probe", .threads = kProbes, .queue_limit = 100'000}) {}

InstanceReader::~InstanceReader() = default;

Result<std::vector<compute::Instance>> InstanceReader::list(Deadline deadline) {
  if (!any_hung()) {
    const Deadline share = deadline.sooner(part(deadline.remaining(), 60));
    auto all = list_at_once(share);
    if (all || !is_timeout(all.error()) || deadline.expired()) return all;
  }
  return list_one_by_one(deadline);
}

Result<std::vector<compute::Instance>> InstanceReader::list_at_once(Deadline deadline) {
  const Answer answer = BERTH_TRY(api_.get("/instances?recursion=2", {}, deadline));
  if (!answer.metadata().is_array()) return nonsense("the instances are no list");
  std::vector<compute::Instance> instances;
  instances.reserve(answer.metadata().size());
  for (const auto& entry : answer.metadata().elements()) {
    instances.push_back(BERTH_TRY(decode(entry, deadline)));
  }
  const std::lock_guard lock(mutex_);
  known_.clear();
  for (const auto& instance : instances) known_.emplace(instance.name, instance);
  return instances;
}

Result<std::vector<std::string>> InstanceReader::list_names(Deadline deadline) {
  const Answer answer = BERTH_TRY(api_.get("/instances", {}, deadline));
  if (!answer.metadata().is_array()) return nonsense("the instances are no list");
  std::vector<std::string> names;
  for (const auto& entry : answer.metadata().elements()) {
    std::string_view path = entry.string().value_or("");
    path = path.substr(0, path.find('?'));
    auto name = http::percent_decode(path.substr(path.rfind('/') + 1));
    if (!name || name->empty()) return nonsense("an instance without a name");
    names.push_back(std::move(*name));
  }
  return names;
}

/// What the readers of one careful list share with the one who waits for them; outlives a wait that was given up.
struct InstanceReader::Reading {
  std::mutex mutex;
  std::condition_variable done;
  std::size_t open = 0;
  std::vector<compute::Instance> instances;
  std::optional<Error> failure;
};

Result<std::vector<compute::Instance>> InstanceReader::list_one_by_one(Deadline deadline) {
  const auto names = BERTH_TRY(list_names(deadline));
  {
    const std::set<std::string_view> present(names.begin(), names.end());
    const std::lock_guard lock(mutex_);
    std::erase_if(known_, [&](const auto& entry) { return !present.contains(entry.first); });
    std::erase_if(hung_, [&](const auto& entry) { return !present.contains(entry.first); });
  }

  const auto reading = std::make_shared<Reading>();
  for (const auto& name : names) {
    if (is_hung(name)) {
      suspect(name);
      const std::lock_guard lock(reading->mutex);
      reading->instances.push_back(last_known(name));
      continue;
    }
    {
      const std::lock_guard lock(reading->mutex);
      ++reading->open;
    }
    const bool taken = readers_.submit([this, reading, name, deadline] {
      auto instance =
          deadline.expired()
              ? Result<compute::Instance>(translate(Error(ErrorCode::deadline_exceeded, "engine.timeout", Text{})))
              : read_one(name, deadline.sooner(
                                   std::max(milliseconds(1), std::min(kShareOfOne, part(deadline.remaining(), 80)))));
      const std::lock_guard lock(reading->mutex);
      if (instance) {
        reading->instances.push_back(std::move(*instance));
      } else if (instance.error().code() != ErrorCode::not_found) {
        reading->failure = take_error(instance);
      }
      if (--reading->open == 0) reading->done.notify_all();
    });
    if (!taken) return compute::engine_unavailable().with_detail("too many reads are waiting");
  }

  std::unique_lock lock(reading->mutex);
  reading->done.wait_until(lock, deadline.at(), [&] { return reading->open == 0; });
  if (reading->open != 0) {
    return translate(Error(ErrorCode::deadline_exceeded, "engine.timeout", Text{}));
  }
  if (reading->failure) return *reading->failure;
  return std::move(reading->instances);
}

Result<compute::Instance> InstanceReader::read_one(const std::string& name, Deadline deadline) {
  const Subject subject = Subject::of_instance(name);
  auto answer = api_.get(instance_path(name) + "?recursion=1", subject, deadline);
  if (!answer) {
    if (!is_timeout(answer.error())) return take_error(answer);
    suspect(name);
    return last_known(name);
  }
  auto instance = BERTH_TRY(decode(answer->metadata(), deadline));
  remember(instance);
  return instance;
}

Result<compute::Instance> InstanceReader::get(const std::string& name, Deadline deadline) {
  if (is_hung(name)) {
    suspect(name);
    return last_known(name);
  }
  const Subject subject = Subject::of_instance(name);
  const Deadline share = deadline.sooner(std::min(kLongestGet, part(deadline.remaining(), 70)));
  auto answer = api_.get(instance_path(name) + "?recursion=1", subject, share);
  if (answer) {
    auto instance = BERTH_TRY(decode(answer->metadata(), deadline));
    remember(instance);
    return instance;
  }
  if (!is_timeout(answer.error())) {
    if (answer.error().code() == ErrorCode::not_found) forget(name);
    return take_error(answer);
  }
  // Is it the instance that hangs, or the engine?
  const auto names = BERTH_TRY(list_names(deadline));
  if (std::ranges::find(names, name) == names.end()) {
    forget(name);
    return compute::instance_not_found(name);
  }
  suspect(name);
  return last_known(name);
}

void InstanceReader::forget(const std::string& name) {
  const std::lock_guard lock(mutex_);
  known_.erase(name);
  hung_.erase(name);
}

Result<compute::Instance> InstanceReader::decode(json::View instance, Deadline deadline) {
  return decode_instance(instance, has_relative_memory(instance) ? host_memory(deadline) : 0);
}

std::uint64_t InstanceReader::host_memory(Deadline deadline) {
  if (const auto known = host_memory_.load(); known != 0) return known;
  const auto answer = api_.get("/resources", {}, deadline);
  if (!answer) return 0;
  const auto total = answer->metadata()["memory"]["total"].unsigned_integer().value_or(0);
  host_memory_ = total;
  return total;
}

bool InstanceReader::any_hung() const {
  const std::lock_guard lock(mutex_);
  return !hung_.empty();
}

bool InstanceReader::is_hung(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return hung_.contains(name);
}

void InstanceReader::remember(const compute::Instance& instance) {
  const std::lock_guard lock(mutex_);
  known_.insert_or_assign(instance.name, instance);
}

compute::Instance InstanceReader::last_known(const std::string& name) const {
  compute::Instance instance;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = known_.find(name); found != known_.end()) instance = found->second;
  }
  instance.name = name;
  instance.status = compute::Status::unresponsive;
  instance.engine_status = "Error";
  return instance;
}

void InstanceReader::suspect(const std::string& name) {
  {
    const std::lock_guard lock(mutex_);
    const auto [entry, fresh] = hung_.try_emplace(name);
    if (fresh) log::warning("lxd", "instance {} does not answer; the others are read without it", name);
    if (std::exchange(entry->second.probing, true)) return;
  }
  if (probes_.submit([this, name] { probe(name); })) return;
  const std::lock_guard lock(mutex_);
  if (const auto entry = hung_.find(name); entry != hung_.end()) entry->second.probing = false;
}

void InstanceReader::probe(const std::string& name) {
  const Subject subject = Subject::of_instance(name);
  bool unknown = false;
  bool crowded = false;
  {
    const std::lock_guard lock(mutex_);
    unknown = !known_.contains(name);
    crowded = hung_.size() > kProbes;
  }
  if (unknown) {
    // Whatever of it can be had without its process: LXD answers this one with the status "Error".
    const auto plain = api_.get(instance_path(name), subject, Deadline::after(kConfigurationTime));
    if (plain) {
      if (auto instance = decode_instance(plain->metadata(), host_memory_)) remember(*instance);
    }
  }
  const Deadline patience = Deadline::after(crowded ? kCrowdedProbe : kPatientProbe);
  auto answer = api_.get(instance_path(name) + "?recursion=1", subject, patience);
  if (answer) {
    if (auto instance = decode_instance(answer->metadata(), host_memory_)) remember(*instance);
  }
  const std::lock_guard lock(mutex_);
  const auto entry = hung_.find(name);
  if (entry == hung_.end()) return;
  if (answer || answer.error().code() == ErrorCode::not_found) {
    log::info("lxd", "instance {} answers again", name);
    hung_.erase(entry);
  } else {
    entry->second.probing = false;
  }
}

}  // namespace berth::drivers::lxd
