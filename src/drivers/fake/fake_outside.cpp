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
  report_changed(name);
  return true;
}

bool FakeEngine::stop_outside(const std::string& name) {
  const std::lock_guard lock(mutex_);
  Stored* stored = find(name);
  if (stored == nullptr) return false;
  set_stopped(*stored);
  report_changed(name);
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
  if (find(name) == nullptr || find(new_name) != nullptr) return false;
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
