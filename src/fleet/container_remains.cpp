// What becomes of containers on a server that live elsewhere now.
#include <utility>

#include "base/log.h"
#include "fleet/container_input.h"
#include "fleet/containers.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

constexpr std::chrono::milliseconds kReadBack{3000};
/// How long a fenced server is given to say that it answers.
constexpr std::chrono::milliseconds kKnock{1000};

bool is_up(compute::Status status) {
  return status != compute::Status::stopped && status != compute::Status::error;
}

}  // namespace

Result<void> Containers::mark_fenced(ServerId server, const std::string& how, const audit::Origin& origin) {
  const auto view = BERTH_TRY(parts_.servers.find(server));
  BERTH_CHECK(parts_.database.write([&](store::Transaction& transaction) -> Result<void> {
    BERTH_CHECK(remains_.mark(transaction, server, how));
    return parts_.operations.audit_log().append(
        transaction, origin,
        {"server.fenced", "server", view.server.name, audit::Outcome::success,
         json::to_json(std::map<std::string, std::string>{{"name", view.server.name}, {"how", how}})});
  }));
  return remains_.load();
}

std::vector<ContainerThere> Containers::living_elsewhere(ServerId server) const {
  std::vector<ContainerThere> all;
  for (const auto& remains : remains_.on(server)) {
    all.push_back({remains.engine_name, remains.engine_id});
    // A replacement that was under way has left them behind too.
    all.push_back({fresh_name(remains.container), ""});
    all.push_back({spare_name(remains.container), ""});
  }
  return all;
}

Error remains_there(const std::string& server, const std::string& name) {
  return Error(ErrorCode::conflict, "relocation.remains",
               {fmt::format("服务器 {} 上还有容器 {} 的旧副本，请先在该服务器上删除", server, name),
                fmt::format("Server {} still has an older copy of container {}: remove it there first", server, name)});
}

NotToStart Containers::not_to_start(ServerId server) const {
  NotToStart apart;
  // Before the rows: what ends meanwhile shows there how it has ended.
  const std::multiset<ContainerId> active = [this] {
    const std::lock_guard lock(active_mutex_);
    return active_;
  }();
  apart.elsewhere = living_elsewhere(server);
  for (const auto& row : catalog_.book().rows()) {
    const bool comes = row->pending && row->pending->server == server;
    if (row->server != server && !comes) continue;
    const bool changing = row->pending || row->presence == Presence::creating || active.contains(row->id);
    if (changing) {
      for (const auto& name : engine_names_of(*row)) apart.changing.push_back({name, ""});
    } else if (row->presence == Presence::present && !row->desired.running) {
      apart.unwanted.push_back({row->engine_name, row->engine_id});
    }
  }
  return apart;
}

Result<void> Containers::forget_remains(const Remains& remains) {
  BERTH_CHECK(parts_.database.write(
      [&](store::Transaction& transaction) { return RemainsBook::remove(transaction, remains.id); }));
  return remains_.load();
}

void Containers::set_restart_policy(const UnitPointer& unit, const std::string& engine_name,
                                    compute::RestartPolicy policy) {
  compute::ContainerAbility* ability = unit->engine->containers();
  if (ability == nullptr) return;
  const auto set = ability->set_restart_policy(engine_name, policy, Deadline::after(settings_.quick_limit));
  if (set || set.error().code() == ErrorCode::not_found) return;
  log::warning("fleet", "the restart policy of {} on {}: {}", engine_name, unit->name, set.error().describe());
}

Result<void> Containers::bury(const UnitPointer& unit, const Remains& remains, Deadline deadline) {
  const auto row = catalog_.book().row(remains.container);
  auto read = unit->engine->get(remains.engine_name, deadline.sooner(settings_.quick_limit));
  if (!read && read.error().code() != ErrorCode::not_found) return take_error(read);
  // Only what is certainly ours: somebody may have made another one under that name meanwhile.
  bool ours = read && !remains.engine_id.empty() && read->engine_id == remains.engine_id;
  if (remains.engine_id.empty() && row != nullptr) {
    for (ContainerRow like : {*row, as_its_change_leaves_it(*row)}) {
      like.engine_name = remains.engine_name;
      ours = ours || BERTH_TRY(is_ours(unit, like, deadline));
    }
  }
  if (ours) BERTH_CHECK(take_off(unit, remains.engine_name, deadline));
  if (ours || !read) {
    auto nobody = std::make_shared<ContainerRow>();
    nobody->id = remains.container;
    BERTH_CHECK(remove_volumes({nobody, unit}, remains.volumes, deadline));
  }
  return forget_remains(remains);
}

bool Containers::clear_remains(const UnitPointer& unit, ContainerBook::Differences& found) {
  // A row that has just left this server left its remains behind in the same transaction.
  if (!found.unknown.empty()) {
    if (const auto loaded = remains_.load(); !loaded) {
      log::warning("fleet", "reading what lives elsewhere: {}", loaded.error().describe());
      found.unknown.clear();
      return false;
    }
  }
  if (!remains_.concerns(unit->id)) return true;
  const auto snapshot = unit->inventory->snapshot();
  const Deadline deadline = Deadline::after(settings_.lifecycle_limit);
  bool done = true;
  const auto silence = [&](const std::string& engine_name) {
    log::warning("fleet", "stopping {} on {}: it lives elsewhere now", engine_name, unit->name);
    set_restart_policy(unit, engine_name, compute::RestartPolicy::no);
    const auto stopped = unit->engine->stop(engine_name, std::chrono::seconds(0), compute::EngineProgress{}, deadline);
    if (!stopped && stopped.error().code() != ErrorCode::not_found) {
      log::error("fleet", "{} on {} still runs: {}", engine_name, unit->name, stopped.error().describe());
      done = false;
    }
    unit->inventory->refresh(engine_name, Deadline::after(kReadBack));
  };
  std::set<std::int64_t> there;
  std::erase_if(found.unknown, [&](const compute::InstancePointer& instance) {
    const auto remains = remains_.match(unit->id, *instance);
    if (!remains) return false;
    there.insert(remains->id);
    if (is_up(instance->status)) silence(instance->name);
    return true;
  });
  for (const auto& row : found.unsettled) {
    if (!row->pending || row->pending->kind != Pending::Kind::recover || row->server != unit->id) continue;
    done = false;  // the server stays fenced until that has ended
    const auto may_run_elsewhere = [&] {
      const RowPointer now = catalog_.book().row(row->id);
      return now == nullptr || now->server != unit->id || (now->pending && now->pending->started);
    };
    bool silenced = false;
    for (const auto& name : engine_names_of(*row)) {
      const auto instance = snapshot->find(name);
      if (instance == nullptr || !is_up(instance->status) || !may_run_elsewhere()) continue;
      silence(name);
      silenced = true;
    }
    if (!silenced) continue;
    // What was interrupted there is gone on with once it has been given back.
    if (may_run_elsewhere() || !row->pending->was_running || !row->pending->interrupted.empty()) continue;
    // It was given back to this server meanwhile.
    set_restart_policy(unit, row->engine_name, row->desired.settings.restart_policy);
    const auto started = unit->engine->start(row->engine_name, compute::EngineProgress{}, deadline);
    if (!started) log::error("fleet", "{} does not start again: {}", row->name, started.error().describe());
    unit->inventory->refresh(row->engine_name, Deadline::after(kReadBack));
  }
  for (const auto& remains : remains_.on(unit->id)) {
    Result<void> ended;
    if (remains.disposable) {
      ended = bury(unit, remains, deadline);
    } else if (!there.contains(remains.id)) {
      auto read = unit->engine->get(remains.engine_name, deadline.sooner(settings_.quick_limit));
      const bool gone = !read && read.error().code() == ErrorCode::not_found;
      const bool another = read && !remains.engine_id.empty() && read->engine_id != remains.engine_id;
      if (gone || another) {
        ended = forget_remains(remains);
      } else if (!read) {
        ended = take_error(read);
      } else {
        done = false;  // to be looked at again: the snapshot did not show it yet
      }
    }
    if (!ended) {
      log::warning("fleet", "{} on {}: {}", remains.engine_name, unit->name, ended.error().describe());
      done = false;
    }
  }
  if (!done || !remains_.fenced(unit->id)) return done;
  // This look may have been asked for before the server went: it is trusted again only once it answers again.
  if (!unit->engine->info(Deadline::after(kKnock))) return false;
  const auto freed = parts_.database.write([&](store::Transaction& transaction) -> Result<bool> {
    if (!BERTH_TRY(RemainsBook::unmark(transaction, unit->id))) return false;
    BERTH_CHECK(parts_.operations.audit_log().append(
        transaction, system_origin(),
        {"server.unfenced", "server", unit->name, audit::Outcome::success,
         json::to_json(std::map<std::string, std::string>{{"name", unit->name}})}));
    return true;
  });
  const bool loaded = freed && *freed && remains_.load();
  return loaded;
}

}  // namespace berth::fleet
