#include <utility>

#include "fleet/container_input.h"
#include "fleet/containers.h"
#include "json/read.h"

namespace berth::fleet {
namespace {

using compute::Status;
using operations::State;
using operations::Verdict;

Verdict succeeded(std::string result = "null") {
  return {State::succeeded, std::move(result), std::nullopt};
}
Verdict ask_again() {
  return {State::running, "null", std::nullopt};
}
Verdict failed(const Error& error) {
  return {State::failed, "null", operations::to_failure(error)};
}
Verdict done_if(bool done) {
  return done ? succeeded() : failed(change_interrupted());
}

}  // namespace

Result<Verdict> Containers::reconcile(const operations::Operation& operation) {
  const auto pass = gate_->enter();
  if (!pass) return ask_again();
  UnitPointer unit;
  for (const auto& one : parts_.servers.units()) {
    if (one->engine_id == operation.engine) unit = one;
  }
  if (unit == nullptr) {
    // One whose engine cannot be made (a key that does not open) is there all the same.
    for (const auto& view : parts_.servers.list()) {
      if (engine_id_of(view.server.id) == operation.engine) return ask_again();
    }
    return failed(Error(ErrorCode::unavailable, "engine.removed",
                        {"服务器已被移除，结果未知", "The server was removed, so the outcome is unknown"}));
  }
  // Asked about again later: an error would hold up the operations of every other server too.
  if (!unit->inventory->snapshot()->health.connected) {
    // A fenced one may never answer again: what is left is for a failover to settle.
    return remains_.fenced(unit->id) ? failed(change_interrupted()) : ask_again();
  }
  auto verdict = [&]() -> Result<Verdict> {
    const Deadline deadline = Deadline::after(settings_.quick_limit);
    if (!operation.handle.empty() && BERTH_TRY(unit->engine->still_working(operation.handle, deadline))) {
      return ask_again();
    }
    const RowPointer row = catalog_.book().row(ContainerId(std::stoll(operation.resource_id)));
    if (operation.kind == "container.delete") {
      return row == nullptr ? succeeded() : judge_removal({row, unit});
    }
    if (row == nullptr) return failed(change_interrupted());
    const Target target{row, unit};
    if (operation.kind == "container.create") return judge_create(operation, target);
    if (operation.kind == "container.settle") return succeeded();  // what is unsettled is found again
    if (row->pending) return judge_pending(operation, target);
    if (operation.kind == "container.archive") return done_if(row->presence == Presence::archived);
    if (operation.kind == "container.restore") return done_if(row->presence == Presence::present);
    if (operation.kind == "container.update") return failed(change_interrupted());
    if (operation.kind == "container.relocate" || operation.kind == "container.recover") {
      const auto input = json::from_json<ContainerInput>(operation.input);
      const auto to = input && input->to ? input->to->value_or(0) : 0;
      return done_if(row->server == ServerId(to));
    }
    return judge_lifecycle(operation, target);
  }();
  if (!verdict && no_answer(verdict.error())) return ask_again();
  return verdict;
}

Result<Verdict> Containers::judge_create(const operations::Operation& operation, const Target& target) {
  const ContainerRow& row = *target.row;
  const std::string result = "{\"container_id\":" + std::to_string(row.id.value()) + "}";
  if (row.presence != Presence::creating) return succeeded(result);
  const Deadline deadline = Deadline::after(settings_.lifecycle_limit);
  if (!BERTH_TRY(is_ours(target.unit, row, deadline))) {
    BERTH_CHECK(catalog_.remove(row.id));
    return failed(change_interrupted());
  }
  const auto input = json::from_json<ContainerInput>(operation.input);
  if (input && input->start && input->start->value_or(false)) {
    auto started = target.unit->engine->start(row.engine_name, compute::EngineProgress{}, deadline);
    if (!started && no_answer(started.error())) return take_error(started);
    if (!started) {
      BERTH_CHECK(take_off(target.unit, row.engine_name, deadline));
      BERTH_CHECK(catalog_.remove(row.id));
      return failed(started.error());
    }
  }
  const auto made = BERTH_TRY(target.unit->inventory->reread(row.engine_name, deadline));
  BERTH_CHECK(catalog_.change(row.id, [&](store::Transaction&, ContainerRow& now) -> Result<void> {
    now.presence = Presence::present;
    now.engine_id = made->engine_id;
    return {};
  }));
  return succeeded(result);
}

Result<Verdict> Containers::judge_removal(const Target& target) {
  const ContainerRow& row = *target.row;
  if (row.presence == Presence::present &&
      BERTH_TRY(has(target.unit, row.engine_name, Deadline::after(settings_.quick_limit)))) {
    return failed(change_interrupted());
  }
  BERTH_CHECK(catalog_.remove(row.id));
  return succeeded();
}

Result<Verdict> Containers::judge_lifecycle(const operations::Operation& operation, const Target& target) {
  const ContainerRow& row = *target.row;
  auto read = target.unit->inventory->reread(row.engine_name, Deadline::after(settings_.quick_limit));
  if (!read && read.error().code() == ErrorCode::not_found) return failed(container_not_found(row.name));
  const compute::InstancePointer found = BERTH_TRY(std::move(read));
  const Status status = found->status;
  if (status == Status::starting || status == Status::stopping || status == Status::restarting) return ask_again();
  const std::string& kind = operation.kind;
  Status wanted = Status::running;
  if (kind == "container.stop") wanted = Status::stopped;
  if (kind == "container.pause") wanted = Status::frozen;
  if (status != wanted) return failed(change_interrupted());
  const bool tells = kind == "container.start" || kind == "container.stop" || kind == "container.restart";
  if (tells && row.desired.running != (wanted == Status::running)) {
    BERTH_CHECK(catalog_.change(row.id, [&](store::Transaction&, ContainerRow& now) -> Result<void> {
      now.desired.running = wanted == Status::running;
      return {};
    }));
  }
  return succeeded();
}

Result<Verdict> Containers::judge_pending(const operations::Operation& operation, const Target& target) {
  const std::string& kind = operation.kind;
  const bool its_own = kind == "container.update" || kind == "container.archive" || kind == "container.restore" ||
                       kind == "container.relocate" || kind == "container.recover";
  if (!its_own) return failed(change_interrupted());
  if (!can_settle(*target.row)) return ask_again();
  return done_if(BERTH_TRY(settle(target, Deadline::after(settings_.lifecycle_limit))));
}

}  // namespace berth::fleet
