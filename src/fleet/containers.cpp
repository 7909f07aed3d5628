#include "fleet/containers.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <thread>
#include <utility>

#include "base/log.h"
#include "fleet/archive_folder.h"
#include "fleet/container_input.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

/// How long the engine is asked for one container before a change is begun without its answer.
constexpr std::chrono::milliseconds kConfirm{2000};
/// How long an engine that did not answer is given to say that it does again.
constexpr std::chrono::milliseconds kKnock{1000};
/// How much longer than the operation its caller waits, for its outcome to be recorded.
constexpr std::chrono::milliseconds kPatience{2000};
/// How long a change waits for the settling of an earlier one, and between looks.
constexpr std::chrono::milliseconds kSettling{10'000};
constexpr std::chrono::milliseconds kGlance{10};
constexpr std::string_view kSettle = "container.settle";
/// Between looks at a lease.
constexpr std::chrono::milliseconds kLeaseLook{50};

Error unsupported() {
  return Error(ErrorCode::unsupported, "engine.unsupported", {"该引擎不支持此功能", "This engine cannot do that"});
}

/// What comes from an engine keeps the engine, also when its server is removed meanwhile.
class HeldFollowing final : public compute::LogFollowing {
 public:
  HeldFollowing(UnitPointer unit, std::unique_ptr<compute::LogFollowing> following)
      : unit_(std::move(unit)), following_(std::move(following)) {}
  void pause() override { following_->pause(); }
  void resume() override { following_->resume(); }

 private:
  UnitPointer unit_;
  std::unique_ptr<compute::LogFollowing> following_;
};

struct HeldTerminal {
  UnitPointer unit;
  std::shared_ptr<compute::Terminal> terminal;
};

std::shared_ptr<compute::Terminal> hold(UnitPointer unit, std::shared_ptr<compute::Terminal> terminal) {
  auto held = std::make_shared<HeldTerminal>(HeldTerminal{std::move(unit), std::move(terminal)});
  return {held, held->terminal.get()};
}

bool contains_without_case(std::string_view text, std::string_view part) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::search(text, part, [&](char a, char b) { return lower(a) == lower(b); }).begin() != text.end() ||
         part.empty();
}

bool fits(const Container& container, const ContainerFilter& filter) {
  return (!filter.server || container.server_name == *filter.server) &&
         (!filter.status || container.status == *filter.status) &&
         (!filter.owner || container.owner == *filter.owner) &&
         (filter.search.empty() || contains_without_case(container.name, filter.search) ||
          contains_without_case(container.image, filter.search));
}

}  // namespace

Error no_lease(const std::string& server) {
  return Error(
      ErrorCode::unavailable, "server.no_lease",
      {fmt::format("服务器 {} 的代理目前没有租约，其容器已停止或将被停止；请检查该服务器上的 berth agent 后重试",
                   server),
       fmt::format("The agent of server {} has no lease now, so its containers are stopped or will be; try "
                   "again, or look at berth agent there",
                   server)});
}

Error container_busy(const std::string& name) {
  return Error(ErrorCode::conflict, "operation.busy",
               {fmt::format("容器 {} 正在进行另一项操作", name),
                fmt::format("Another operation on container {} is under way", name)});
}

Error container_right() {
  return Error(ErrorCode::permission_denied, "container.right",
               {"没有执行此操作的权限", "You do not have the right to do that with this container"});
}

Error change_interrupted() {
  return Error(ErrorCode::unavailable, "operation.interrupted",
               {"操作因服务中断未能完成，请检查后重试",
                "The operation was interrupted before it was complete; check and try again"});
}

audit::Origin system_origin() {
  return {UserId(), "system", "", "system", RequestId()};
}

Containers::Containers(Settings settings, const Parts& parts)
    : settings_(std::move(settings)),
      parts_(parts),
      catalog_(parts.database, parts.sealing, parts.clock),
      remains_(parts.database, parts.clock) {}

Result<std::unique_ptr<Containers>> Containers::create(Settings settings, const Parts& parts) {
  std::error_code problem;
  std::filesystem::create_directories(settings.archives, problem);
  if (problem) return internal_error("cannot make the folder for archives: " + problem.message());
  std::filesystem::permissions(settings.archives, std::filesystem::perms::owner_all, problem);
  std::unique_ptr<Containers> containers(new Containers(std::move(settings), parts));
  BERTH_CHECK(containers->catalog_.load());
  BERTH_CHECK(containers->remains_.load());
  Containers* self = containers.get();
  self->added_ = parts.servers.unit_added().subscribe([self](const UnitPointer& unit) { self->follow(unit); });
  self->removed_ = parts.servers.unit_removed().subscribe([self](const UnitPointer& unit) { self->unfollow(unit); });
  for (const auto& unit : parts.servers.units()) self->follow(unit);
  parts.operations.reconcile_with("container.", self->settling_, [self](const operations::Operation& operation) {
    return self->reconcile(operation);
  });
  return containers;
}

Containers::~Containers() {
  added_.reset();
  removed_.reset();
  {
    std::map<ServerId, std::shared_ptr<Watch>> watches;
    {
      const std::lock_guard lock(watches_mutex_);
      watches_.swap(watches);
    }
    for (const auto& [id, watch] : watches) end_watch(*watch);
  }
  gate_->close_and_wait();
  settling_.drain();
}

Result<std::int64_t> Containers::reseal(store::Database& database, const std::filesystem::path& archives,
                                        const identity::Sealing& sealing) {
  const auto rows = BERTH_TRY(
      database.write([&](store::Transaction& transaction) { return container_rows::reseal(transaction, sealing); }));
  return rows + BERTH_TRY(archive_folder::reseal(archives, sealing));
}

bool Containers::may(const Caller& caller, const Container& container, Right right) const {
  if (caller.sees_all) return true;
  if (caller.user.value() == 0) return false;
  return container.owner == caller.user || parts_.access.allows(caller.user, container.id, right);
}

ContainerPage Containers::list(const Caller& caller, const ContainerFilter& filter) const {
  const ContainerViewPointer view = catalog_.book().view();
  ContainerPage page;
  const std::size_t limit = filter.limit == 0 ? view->containers.size() : filter.limit;
  for (const auto& container : view->containers) {
    if (!fits(*container, filter) || !may(caller, *container, Right::read)) continue;
    if (page.total++ >= filter.offset && page.containers.size() < limit) page.containers.push_back(container);
  }
  return page;
}

Result<ContainerPointer> Containers::find(const Caller& caller, const std::string& name, Right right) const {
  ContainerPointer container = catalog_.book().view()->find(name);
  if (container == nullptr || !may(caller, *container, Right::read)) return container_not_found(name);
  if (right != Right::read && !may(caller, *container, right)) return container_right();
  return container;
}

Result<ContainerPointer> Containers::find(ContainerId id) const {
  ContainerPointer container = catalog_.book().find(id);
  if (container == nullptr) return container_not_found(std::to_string(id.value()));
  return container;
}

Result<ContainerPointer> Containers::find_at_rest(ContainerId id, Deadline deadline) const {
  while (is_active(id) && !deadline.expired()) std::this_thread::sleep_for(kGlance);
  return find(id);
}

Result<Containers::Target> Containers::target_of(const ContainerPointer& container) {
  Target target{catalog_.book().row(container->id), parts_.servers.unit(container->server)};
  if (target.row == nullptr) return container_not_found(container->name);
  switch (target.row->presence) {
    case Presence::present:
      break;
    case Presence::creating:
      return container_busy(container->name);
    case Presence::archived:
      return Error(ErrorCode::conflict, "container.archived",
                   {fmt::format("容器 {} 已归档，请先恢复", container->name),
                    fmt::format("Container {} is archived: restore it first", container->name)});
    case Presence::missing:
      return Error(ErrorCode::conflict, "container.missing",
                   {fmt::format("容器 {} 已不在其服务器上", container->name),
                    fmt::format("Container {} is no longer on its server", container->name)});
  }
  if (target.unit == nullptr) return compute::engine_unavailable();
  if (!target.unit->inventory->snapshot()->health.connected) {
    // It may have come back since the last full read.
    const auto answer = target.unit->engine->info(Deadline::after(kKnock));
    if (!answer) return compute::engine_unavailable().with_detail(answer.error().describe());
  }
  return target;
}

Result<Containers::Target> Containers::changeable(const ContainerPointer& container) {
  Target target = BERTH_TRY(target_of(container));
  BERTH_CHECK(wait_for_lease(target.unit));
  return target;
}

Result<compute::InstancePointer> Containers::confirm(const Target& target) {
  auto read = target.unit->inventory->reread(target.row->engine_name, Deadline::after(kConfirm));
  if (read) return std::move(*read);
  if (read.error().code() == ErrorCode::unavailable) {
    return compute::engine_unavailable().with_detail(read.error().describe());
  }
  auto known = catalog_.book().instance_of(target.row->id);
  if (read.error().code() == ErrorCode::not_found || known == nullptr) {
    return Error(ErrorCode::conflict, "container.missing",
                 {fmt::format("容器 {} 已不在其服务器上", target.row->name),
                  fmt::format("Container {} is no longer on its server", target.row->name)});
  }
  return known;
}

bool Containers::lets_run(ServerId server) const {
  const LeaseBook* leases = leases_;
  if (leases == nullptr || leases->lets_run(server)) return true;
  // An agent that is gone for good tells nobody so: whoever takes the fence away does.
  const auto view = parts_.servers.find(server);
  return view && view->server.fence != Fence::agent;
}

Result<void> Containers::wait_for_lease(const UnitPointer& unit) const {
  const LeaseBook* leases = leases_;
  if (leases == nullptr) return {};
  const Deadline patience = Deadline::after(settings_.lease_patience * leases->terms().renewal);
  while (!lets_run(unit->id)) {
    if (patience.expired() || !leases->is_heard_of(unit->id)) return no_lease(unit->name);
    std::this_thread::sleep_for(kLeaseLook);
  }
  return {};
}

bool Containers::is_to_run(const ContainerRow& row, compute::Status status) const {
  const bool up = status != compute::Status::stopped && status != compute::Status::error;
  return up || (row.desired.running && !lets_run(row.server));
}

Result<operations::TicketPointer> Containers::submit(const audit::Origin& origin, Change change) {
  {
    const std::lock_guard lock(active_mutex_);
    active_.insert(change.id);
  }
  // Known as busy until the work is over, or was never begun.
  std::shared_ptr<void> active(nullptr, [this, gate = gate_, id = change.id](void*) {
    if (const auto pass = gate->enter()) {
      const std::lock_guard lock(active_mutex_);
      if (const auto at = active_.find(id); at != active_.end()) active_.erase(at);
    }
  });
  // Once it is known as busy: then the agent lets it be if it comes to have lost its lease after this.
  if (change.kind != kSettle) BERTH_CHECK(wait_for_lease(change.unit));
  const auto work = std::make_shared<operations::Work>(std::move(change.work));
  const Deadline patience = Deadline::after(kSettling);
  while (true) {
    operations::NewOperation operation{.kind = change.kind,
                                       .engine = change.unit->engine_id,
                                       .resource_type = "container",
                                       .resource_id = std::to_string(change.id.value()),
                                       .input = change.input,
                                       .audit_details = change.details,
                                       .origin = origin,
                                       .time_limit = change.limit};
    auto guarded = [gate = gate_, active, work](operations::Context& context) mutable -> Result<std::string> {
      const auto pass = gate->enter();
      if (!pass) return change_interrupted();
      auto outcome = (*work)(context);
      // Before whoever waits for it goes on.
      active.reset();
      return outcome;
    };
    auto ticket = parts_.operations.submit(std::move(operation), *change.unit->pool, std::move(guarded));
    if (ticket || ticket.error().reason() != "operation.busy" || change.kind == kSettle || patience.expired()) {
      return ticket;
    }
    // What the service does by itself is over soon, and no caller's business.
    const auto holder = parts_.operations.find(OperationId(ticket.error().detail()));
    if (!holder || holder->kind != kSettle) return ticket;
    std::this_thread::sleep_for(kGlance);
  }
}

Result<void> Containers::wait_for(const Result<operations::TicketPointer>& ticket,
                                  std::chrono::milliseconds limit) const {
  if (!ticket) return ticket.error();
  const auto operation = BERTH_TRY((*ticket)->wait(Deadline::after(limit + kPatience)));
  if (operation.state == operations::State::succeeded) return {};
  if (operation.failure) return operations::to_error(*operation.failure);
  return Error(ErrorCode::cancelled, "operation.cancelled", {"操作已取消", "The operation was cancelled"});
}

Result<void> Containers::carry_out(const audit::Origin& origin, Change change) {
  const auto limit = change.limit;
  return wait_for(submit(origin, std::move(change)), limit);
}

compute::EngineProgress Containers::progress_of(operations::Context& context, int from, int to,
                                                bool cancellable) const {
  compute::EngineProgress progress;
  progress.report = [&context, from, to](int percent, std::string stage) {
    context.progress(from + (to - from) * std::clamp(percent, 0, 100) / 100, std::move(stage));
  };
  progress.adopt = [&context](std::string handle) { return context.adopt(std::move(handle)); };
  if (cancellable) progress.cancelled = [&context] { return context.cancel_requested(); };
  return progress;
}

Result<void> Containers::check_mounts(const Caller& caller, const compute::ContainerSettings& wanted,
                                      const compute::ContainerSettings& had) const {
  const auto view = catalog_.book().view();
  const auto belongs_to_others = [&](const std::string& volume) {
    return std::ranges::any_of(view->containers, [&](const ContainerPointer& one) {
      return std::ranges::find(one->settings.mounts, volume, &compute::Mount::source) != one->settings.mounts.end() &&
             !may(caller, *one, Right::write);
    });
  };
  for (const auto& mount : wanted.mounts) {
    if (std::ranges::find(had.mounts, mount) != had.mounts.end()) continue;
    if (mount.is_host_path()) {
      if (caller.host_paths) continue;
      return Error(ErrorCode::permission_denied, "container.host_path",
                   {"没有挂载服务器目录的权限", "You do not have the right to mount folders of a server"});
    }
    if (caller.sees_all || !belongs_to_others(mount.source)) continue;
    return Error(ErrorCode::permission_denied, "container.volume",
                 {fmt::format("卷 {} 属于别人的容器", mount.source),
                  fmt::format("Volume {} belongs to somebody else's container", mount.source)});
  }
  return {};
}

Result<std::string> Containers::owner_uuid(UserId owner) {
  return parts_.database.read(
      [&](store::Transaction& transaction) { return container_rows::uuid_of_user(transaction, owner); });
}

bool Containers::is_active(ContainerId id) const {
  const std::lock_guard lock(active_mutex_);
  return active_.contains(id);
}

bool Containers::is_being_created(const std::string& name) const {
  const std::lock_guard lock(active_mutex_);
  return being_created_.contains(name);
}

Result<std::string> Containers::read_log(const Caller& caller, const std::string& name,
                                         const compute::LogQuery& query) {
  const Target target = BERTH_TRY(target_of(BERTH_TRY(find(caller, name, Right::read))));
  compute::LogAbility* ability = target.unit->engine->logs();
  if (ability == nullptr) return unsupported();
  return ability->read_log(target.row->engine_name, query, Deadline::after(settings_.quick_limit));
}

Result<std::unique_ptr<compute::LogFollowing>> Containers::follow_log(const Caller& caller, const std::string& name,
                                                                      const compute::LogQuery& query,
                                                                      std::shared_ptr<compute::LogReader> reader) {
  const Target target = BERTH_TRY(target_of(BERTH_TRY(find(caller, name, Right::read))));
  compute::LogAbility* ability = target.unit->engine->logs();
  if (ability == nullptr) return unsupported();
  auto following = BERTH_TRY(
      ability->follow_log(target.row->engine_name, query, std::move(reader), Deadline::after(settings_.quick_limit)));
  return std::unique_ptr<compute::LogFollowing>(std::make_unique<HeldFollowing>(target.unit, std::move(following)));
}

Result<std::shared_ptr<compute::Terminal>> Containers::exec(const Caller& caller, const std::string& name,
                                                            const compute::ExecRequest& request,
                                                            std::shared_ptr<compute::TerminalOutput> output) {
  const Target target = BERTH_TRY(target_of(BERTH_TRY(find(caller, name, Right::execute))));
  auto terminal = BERTH_TRY(
      target.unit->service->exec({true, "", caller.origin}, target.row->engine_name, request, std::move(output)));
  return hold(target.unit, std::move(terminal));
}

Result<std::shared_ptr<compute::Terminal>> Containers::console(const Caller& caller, const std::string& name,
                                                               compute::TerminalSize size,
                                                               std::shared_ptr<compute::TerminalOutput> output) {
  const Target target = BERTH_TRY(target_of(BERTH_TRY(find(caller, name, Right::execute))));
  auto terminal = BERTH_TRY(
      target.unit->service->console({true, "", caller.origin}, target.row->engine_name, size, std::move(output)));
  return hold(target.unit, std::move(terminal));
}

Result<compute::ExecOutcome> Containers::run(const Caller& caller, const std::string& name,
                                             const compute::ExecRequest& request,
                                             std::chrono::milliseconds time_limit) {
  const Target target = BERTH_TRY(target_of(BERTH_TRY(find(caller, name, Right::execute))));
  return target.unit->service->run({true, "", caller.origin}, target.row->engine_name, request, time_limit);
}

}  // namespace berth::fleet
