#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "fleet/container_service.h"

namespace berth::rental {

/// Containers in memory, that do at once what is asked of them, fail when told to, and remember what they were asked.
/// Thread-safe.
class FakeFleet final : public fleet::ContainerService {
 public:
  using Caller = fleet::Caller;

  fleet::ContainerId add(const std::string& name, UserId owner = UserId()) {
    const std::lock_guard lock(mutex_);
    auto container = std::make_shared<fleet::Container>();
    container->id = fleet::ContainerId(++last_id_);
    container->name = name;
    container->owner = owner;
    container->status = compute::Status::running;
    containers_[container->id] = container;
    return container->id;
  }
  void erase(fleet::ContainerId id) {
    const std::lock_guard lock(mutex_);
    containers_.erase(id);
  }
  void rename(fleet::ContainerId id, const std::string& name) {
    change(id, [&](fleet::Container& container) { container.name = name; });
  }
  void set_status(fleet::ContainerId id, compute::Status status) {
    change(id, [&](fleet::Container& container) { container.status = status; });
  }

  void set_reachable(fleet::ContainerId id, bool reachable) {
    change(id, [&](fleet::Container& container) { container.reachable = reachable; });
  }

  /// The next `times` calls of this kind ("stop", "archive", …) fail and change nothing.
  void fail(const std::string& kind, int times) {
    const std::lock_guard lock(mutex_);
    failing_[kind] = times;
  }
  /// Called in the middle of each change, with its kind, before it takes effect (`after` false) and behind it.
  void interpose(std::function<void(const std::string& kind, bool after)> hook) {
    const std::lock_guard lock(mutex_);
    hook_ = std::move(hook);
  }

  /// "stop web", "archive web", in order.
  std::vector<std::string> calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }
  std::int64_t count(const std::string& call) const {
    const auto made = calls();
    return std::ranges::count(made, call);
  }
  fleet::Container of(fleet::ContainerId id) const {
    const std::lock_guard lock(mutex_);
    return *containers_.at(id);
  }
  bool runs(fleet::ContainerId id) const {
    const auto container = of(id);
    return container.presence == fleet::Presence::present && container.status == compute::Status::running;
  }
  bool archived(fleet::ContainerId id) const { return of(id).presence == fleet::Presence::archived; }
  /// Whether two changes of one container ever ran at once.
  bool collided() const {
    const std::lock_guard lock(mutex_);
    return collided_;
  }

  fleet::ContainerPage list(const Caller&, const fleet::ContainerFilter&) const override { return {}; }
  Result<fleet::ContainerPointer> find(const Caller&, const std::string& name, fleet::Right) const override {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, container] : containers_) {
      if (container->name == name) return fleet::ContainerPointer(container);
    }
    return not_found();
  }
  Result<fleet::ContainerPointer> find(fleet::ContainerId id) const override {
    const std::lock_guard lock(mutex_);
    const auto found = containers_.find(id);
    if (found == containers_.end()) return not_found();
    return fleet::ContainerPointer(found->second);
  }
  Result<fleet::ContainerPointer> find_at_rest(fleet::ContainerId id, Deadline) const override { return find(id); }
  std::uint64_t revision() const override { return 1; }

  Result<Created> create(const Caller&, const fleet::NewContainer&) override { return unused(); }
  Result<bool> start(const Caller&, const std::string& name) override {
    return to_status("start", name, compute::Status::running);
  }
  Result<bool> stop(const Caller&, const std::string& name, bool force) override {
    return to_status(force ? "kill" : "stop", name, compute::Status::stopped);
  }
  Result<bool> restart(const Caller&, const std::string&, bool) override { return unused(); }
  Result<bool> pause(const Caller&, const std::string&) override { return unused(); }
  Result<bool> resume(const Caller&, const std::string& name) override {
    return to_status("resume", name, compute::Status::running);
  }
  Result<void> remove(const Caller&, const std::string&, bool) override { return unused(); }
  Result<void> update(const Caller&, const std::string&, const fleet::ContainerChange&) override { return unused(); }
  Result<void> archive(const Caller&, const std::string& name) override {
    return changing("archive", name, [](fleet::Container& container) -> Result<void> {
      if (container.status == compute::Status::running) {
        return Error(ErrorCode::conflict, "instance.running", {"容器正在运行", "The container runs"});
      }
      container.presence = fleet::Presence::archived;
      return {};
    });
  }
  Result<void> restore(const Caller&, const std::string& name) override {
    return changing("restore", name, [](fleet::Container& container) -> Result<void> {
      container.presence = fleet::Presence::present;
      container.status = compute::Status::stopped;
      return {};
    });
  }
  Result<std::string> read_log(const Caller&, const std::string&, const compute::LogQuery&) override {
    return unused();
  }
  Result<std::unique_ptr<compute::LogFollowing>> follow_log(const Caller&, const std::string&, const compute::LogQuery&,
                                                            std::shared_ptr<compute::LogReader>) override {
    return unused();
  }
  Result<std::shared_ptr<compute::Terminal>> exec(const Caller&, const std::string&, const compute::ExecRequest&,
                                                  std::shared_ptr<compute::TerminalOutput>) override {
    return unused();
  }
  Result<std::shared_ptr<compute::Terminal>> console(const Caller&, const std::string&, compute::TerminalSize,
                                                     std::shared_ptr<compute::TerminalOutput>) override {
    return unused();
  }
  Result<compute::ExecOutcome> run(const Caller&, const std::string&, const compute::ExecRequest&,
                                   std::chrono::milliseconds) override {
    return unused();
  }

 private:
  static Error not_found() {
    return {ErrorCode::not_found, "container.not_found", {"容器不存在", "Container not found"}};
  }
  static Error unused() { return internal_error("not what rentals ask for"); }

  template <class Change>
  void change(fleet::ContainerId id, Change apply) {
    const std::lock_guard lock(mutex_);
    auto fresh = std::make_shared<fleet::Container>(*containers_.at(id));
    apply(*fresh);
    containers_[id] = std::move(fresh);
  }

  Result<bool> to_status(const std::string& kind, const std::string& name, compute::Status status) {
    bool changed = false;
    BERTH_CHECK(changing(kind, name, [&](fleet::Container& container) -> Result<void> {
      if (container.presence == fleet::Presence::archived) {
        return Error(ErrorCode::conflict, "container.archived", {"容器已归档", "The container is archived"});
      }
      changed = container.status != status;
      container.status = status;
      return {};
    }));
    return changed;
  }

  template <class Apply>
  Result<void> changing(const std::string& kind, const std::string& name, Apply apply) {
    std::function<void(const std::string&, bool)> hook;
    fleet::ContainerId id;
    {
      const std::lock_guard lock(mutex_);
      calls_.push_back(kind + " " + name);
      const auto found =
          std::ranges::find_if(containers_, [&](const auto& entry) { return entry.second->name == name; });
      if (found == containers_.end()) return not_found();
      id = found->first;
      if (failing_[kind] > 0) {
        --failing_[kind];
        return Error(ErrorCode::unavailable, "engine.unavailable", {"服务器不可用", "The server does not answer"});
      }
      collided_ = collided_ || ++running_[id] > 1;
      hook = hook_;
    }
    const std::shared_ptr<void> ended(nullptr, [&](void*) {
      const std::lock_guard lock(mutex_);
      --running_[id];
    });
    if (hook) hook(kind, false);
    Result<void> outcome;
    change(id, [&](fleet::Container& container) { outcome = apply(container); });
    if (hook) hook(kind, true);
    return outcome;
  }

  mutable std::mutex mutex_;
  std::int64_t last_id_ = 0;
  std::map<fleet::ContainerId, std::shared_ptr<const fleet::Container>> containers_;
  std::map<std::string, int> failing_;
  std::map<fleet::ContainerId, int> running_;
  std::function<void(const std::string&, bool)> hook_;
  std::vector<std::string> calls_;
  bool collided_ = false;
};

}  // namespace berth::rental
