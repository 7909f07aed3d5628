#include <utility>

#include "drivers/fake/fake_engine.h"

namespace berth::drivers::fake {

using compute::EngineEvent;
using compute::Status;

bool FakeEngine::create_outside(const std::string& name, bool start) {
  const std::lock_guard lock(mutex_);
  if (find(name) != nullptr) return false;
  Stored& stored = add(name);
  if (start) set_running(stored);
  report_changed(name);
  return true;
}

bool FakeEngine::start_outside(const std::string& name) {
  const std::lock_guard lock(mutex_);
  Stored* stored = find(name);
  if (stored == nullptr) return false;
  set_running(*stored);
  report_changed(stored->instance.name);
  return true;
}

bool FakeEngine::stop_outside(const std::string& name) {
  const std::lock_guard lock(mutex_);
  Stored* stored = find(name);
  if (stored == nullptr) return false;
  set_stopped(*stored);
  stored->stopped_by_hand = true;
  report_changed(stored->instance.name);
  return true;
}

bool FakeEngine::freeze_outside(const std::string& name) {
  const std::lock_guard lock(mutex_);
  Stored* stored = find(name);
  if (stored == nullptr) return false;
  stored->instance.status = Status::frozen;
  stored->instance.engine_status = "Frozen";
  report_changed(name);
  return true;
}

bool FakeEngine::remove_outside(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (Stored* stored = find(name)) set_stopped(*stored);
  if (instances_.erase(name) == 0) return false;
  report({EngineEvent::Kind::removed, name, {}});
  return true;
}

bool FakeEngine::rename_outside(const std::string& name, const std::string& new_name) {
  const std::lock_guard lock(mutex_);
  if (!instances_.contains(name) || find(new_name) != nullptr) return false;
  auto node = instances_.extract(name);
  node.key() = new_name;
  node.mapped().instance.name = new_name;
  instances_.insert(std::move(node));
  report({EngineEvent::Kind::renamed, name, new_name});
  return true;
}

bool FakeEngine::set_counters(const std::string& name, const compute::InstanceCounters& counters) {
  const std::lock_guard lock(mutex_);
  Stored* stored = find(name);
  if (stored == nullptr) return false;
  stored->instance.counters = counters;
  return true;
}

bool FakeEngine::set_owner(const std::string& name, const std::string& owner) {
  const std::lock_guard lock(mutex_);
  Stored* stored = find(name);
  if (stored == nullptr) return false;
  stored->instance.owner = owner;
  report_changed(name);
  return true;
}

void FakeEngine::report_everything() {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, stored] : instances_) report_changed(name);
}

std::string FakeEngine::engine_id_of(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto at = instances_.find(name);
  return at == instances_.end() ? "" : at->second.instance.engine_id;
}

std::optional<std::string> FakeEngine::name_of(const std::string& engine_id) {
  const std::lock_guard lock(mutex_);
  const Stored* stored = find(engine_id);
  return stored == nullptr ? std::nullopt : std::optional(stored->instance.name);
}

std::vector<FakeEngine::Process> FakeEngine::processes() const {
  const std::lock_guard lock(mutex_);
  std::vector<Process> processes;
  for (const auto& [name, stored] : instances_) {
    if (stored.instance.status == Status::stopped) continue;
    processes.push_back({name, stored.instance.engine_id, stored.settings});
  }
  return processes;
}

bool FakeEngine::kill_processes(const std::string& name) {
  const std::lock_guard lock(mutex_);
  Stored* stored = find(name);
  if (stored == nullptr || stored->instance.status == Status::stopped) return false;
  set_stopped(*stored);
  return true;
}

void FakeEngine::kill_processes() {
  for (const auto& process : processes()) kill_processes(process.container);
}

std::vector<std::string> FakeEngine::begin_anew() {
  using compute::RestartPolicy;
  std::vector<std::string> started;
  {
    const std::lock_guard lock(mutex_);
    for (auto& [name, stored] : instances_) {
      const RestartPolicy policy = stored.settings.restart_policy;
      if (stored.instance.status != Status::stopped || !stored.exit_code || policy == RestartPolicy::no) continue;
      if (policy != RestartPolicy::always && stored.stopped_by_hand) continue;
      set_running(stored);
      if (stored.instance.status == Status::running) started.push_back(stored.instance.engine_id);
    }
  }
  report_gap();
  return started;
}

std::set<std::string> FakeEngine::volume_contents() const {
  const std::lock_guard lock(mutex_);
  std::set<std::string> contents;
  for (const auto& [name, volume] : volumes_) {
    for (const auto& [path, content] : volume.files) contents.insert(content);
  }
  return contents;
}

void FakeEngine::disconnect_events() {
  const std::lock_guard lock(mutex_);
  events_connected_ = false;
}

void FakeEngine::reconnect_events() {
  {
    const std::lock_guard lock(mutex_);
    events_connected_ = true;
  }
  report_gap();
}

void FakeEngine::keep_working(const std::string& handle, bool on) {
  const std::lock_guard lock(mutex_);
  if (on) {
    working_.insert(handle);
  } else {
    working_.erase(handle);
  }
}

}  // namespace berth::drivers::fake
