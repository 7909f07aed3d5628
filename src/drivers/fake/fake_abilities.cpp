#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "drivers/fake/fake_engine.h"

namespace berth::drivers::fake {

using compute::EngineProgress;
using compute::Status;

namespace {

Error snapshot_not_found(const std::string& snapshot) {
  return Error(ErrorCode::not_found, "snapshot.not_found",
               {fmt::format("快照 {} 不存在", snapshot), fmt::format("Snapshot {} does not exist", snapshot)});
}

template <class Snapshots>
auto named(Snapshots& snapshots, const std::string& name) {
  return std::ranges::find_if(snapshots, [&](const auto& one) { return one.about.name == name; });
}

}  // namespace

Result<std::vector<compute::InstanceSnapshot>> FakeEngine::list_snapshots(const std::string& instance,
                                                                          Deadline deadline) {
  BERTH_CHECK(faults_.enter("list_snapshots", instance, deadline));
  const std::lock_guard lock(mutex_);
  std::vector<compute::InstanceSnapshot> snapshots;
  for (const auto& one : BERTH_TRY(need(instance))->snapshots) snapshots.push_back(one.about);
  return snapshots;
}

Result<void> FakeEngine::create_snapshot(const std::string& instance, const std::string& snapshot, bool stateful,
                                         const EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(compute::check_snapshot_name(snapshot));
  BERTH_CHECK(faults_.enter("create_snapshot", instance, deadline));
  const auto check = [&]() -> Result<Stored*> {
    Stored* stored = BERTH_TRY(need(instance));
    if (named(stored->snapshots, snapshot) != stored->snapshots.end()) {
      return Error(ErrorCode::already_exists, "snapshot.exists",
                   {fmt::format("快照 {} 已存在", snapshot), fmt::format("Snapshot {} already exists", snapshot)});
    }
    return stored;
  };
  {
    const std::lock_guard lock(mutex_);
    BERTH_CHECK(check());
  }
  BERTH_CHECK(work(progress, "creating snapshot", deadline));
  const std::lock_guard lock(mutex_);
  Stored* stored = BERTH_TRY(check());
  compute::InstanceSnapshot about;
  about.name = snapshot;
  about.created_at = system_clock().now();
  about.stateful = stateful;
  about.size_bytes = 1 << 20;
  stored->snapshots.push_back({std::move(about), stored->instance});
  report_changed(instance);
  return {};
}

Result<void> FakeEngine::restore_snapshot(const std::string& instance, const std::string& snapshot,
                                          const EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(faults_.enter("restore_snapshot", instance, deadline));
  {
    const std::lock_guard lock(mutex_);
    Stored* stored = BERTH_TRY(need(instance));
    if (named(stored->snapshots, snapshot) == stored->snapshots.end()) return snapshot_not_found(snapshot);
  }
  BERTH_CHECK(work(progress, "restoring snapshot", deadline));
  const std::lock_guard lock(mutex_);
  Stored* stored = BERTH_TRY(need(instance));
  const auto at = named(stored->snapshots, snapshot);
  if (at == stored->snapshots.end()) return snapshot_not_found(snapshot);
  stored->instance.description = at->state.description;
  stored->instance.limits = at->state.limits;
  report_changed(instance);
  return {};
}

Result<void> FakeEngine::remove_snapshot(const std::string& instance, const std::string& snapshot,
                                         const EngineProgress& progress, Deadline deadline) {
  BERTH_CHECK(faults_.enter("remove_snapshot", instance, deadline));
  BERTH_CHECK(work(progress, "deleting snapshot", deadline));
  const std::lock_guard lock(mutex_);
  Stored* stored = BERTH_TRY(need(instance));
  const auto at = named(stored->snapshots, snapshot);
  if (at == stored->snapshots.end()) return snapshot_not_found(snapshot);
  stored->snapshots.erase(at);
  report_changed(instance);
  return {};
}

std::string FakeEngine::add_image(const std::string& alias) {
  compute::Image image;
  image.fingerprint = to_hex(random_bytes(32));
  image.aliases = {alias};
  image.description = "Built-in image of the fake engine";
  image.os = "Busybox";
  image.release = "1";
  image.architecture = "x86_64";
  image.size_bytes = 2 << 20;
  image.uploaded_at = system_clock().now();
  const std::lock_guard lock(mutex_);
  images_.push_back(std::move(image));
  return alias;
}

Result<std::vector<compute::Image>> FakeEngine::list_images(Deadline deadline) {
  BERTH_CHECK(faults_.enter("list_images", {}, deadline));
  const std::lock_guard lock(mutex_);
  return images_;
}

Result<void> FakeEngine::remove_image(const std::string& image, Deadline deadline) {
  BERTH_CHECK(faults_.enter("remove_image", {}, deadline));
  const std::lock_guard lock(mutex_);
  const auto matches = [&](const compute::Image& one) {
    return std::ranges::find(one.aliases, image) != one.aliases.end() ||
           (!image.empty() && one.fingerprint.starts_with(image));
  };
  if (std::ranges::count_if(images_, matches) != 1) {
    return Error(ErrorCode::not_found, "image.not_found",
                 {fmt::format("镜像 {} 不存在", image), fmt::format("Image {} does not exist", image)});
  }
  const auto gone = std::ranges::find_if(images_, matches);
  for (const auto& [name, stored] : instances_) {
    const std::string& made_from = stored.instance.image;
    if (!settings_.containers || std::ranges::find(gone->aliases, made_from) == gone->aliases.end()) continue;
    return Error(ErrorCode::conflict, "image.in_use",
                 {fmt::format("镜像 {} 正被容器 {} 使用", image, name),
                  fmt::format("Image {} is in use by container {}", image, name)});
  }
  images_.erase(gone);
  return {};
}

Result<std::shared_ptr<compute::Terminal>> FakeEngine::exec(const std::string& instance,
                                                            const compute::ExecRequest& request,
                                                            std::shared_ptr<compute::TerminalOutput> output,
                                                            Deadline deadline) {
  BERTH_CHECK(faults_.enter("exec", instance, deadline));
  const std::lock_guard lock(mutex_);
  Stored* stored = BERTH_TRY(need_running(instance));
  auto terminal = std::make_shared<EchoTerminal>(EchoTerminal::Kind::shell, std::move(output), terminals_dispatcher_);
  std::erase_if(stored->terminals, [](const auto& ended) { return ended.expired(); });
  stored->terminals.push_back(terminal);
  if (request.command != std::vector<std::string>{"sh"}) {
    auto outcome = run_command(request);
    terminal->finish(outcome.standard_output + outcome.standard_error, outcome.exit_code);
  }
  return std::shared_ptr<compute::Terminal>(std::move(terminal));
}

Result<compute::ExecOutcome> FakeEngine::run(const std::string& instance, const compute::ExecRequest& request,
                                             Deadline deadline) {
  BERTH_CHECK(faults_.enter("run", instance, deadline));
  {
    const std::lock_guard lock(mutex_);
    BERTH_CHECK(need_running(instance));
  }
  if (request.command.front() == "sleep") {
    BERTH_CHECK(faults_.spend(std::chrono::hours(1), deadline, [] { return false; }));
  }
  return run_command(request);
}

Result<std::shared_ptr<compute::Terminal>> FakeEngine::console(const std::string& instance, compute::TerminalSize,
                                                               std::shared_ptr<compute::TerminalOutput> output,
                                                               Deadline deadline) {
  BERTH_CHECK(faults_.enter("console", instance, deadline));
  const std::lock_guard lock(mutex_);
  Stored* stored = BERTH_TRY(need_running(instance));
  // What a container's first process puts out is its log.
  EchoTerminal::Witness witness;
  if (settings_.containers) witness = [this, instance](const std::string& text) { (void)write_log(instance, text); };
  auto terminal = std::make_shared<EchoTerminal>(EchoTerminal::Kind::console, std::move(output), terminals_dispatcher_,
                                                 std::move(witness));
  std::erase_if(stored->terminals, [](const auto& ended) { return ended.expired(); });
  stored->terminals.push_back(terminal);
  return std::shared_ptr<compute::Terminal>(std::move(terminal));
}

}  // namespace berth::drivers::fake
