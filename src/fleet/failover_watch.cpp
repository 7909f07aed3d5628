#include "fleet/failover_watch.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "compute/inventory.h"
#include "fleet/container_input.h"

namespace berth::fleet {
namespace {

/// How old what is shown of a server that answers can be at most.
constexpr std::chrono::seconds kOldest{15};

}  // namespace

void FailoverWatch::tick() {
  const std::lock_guard lock(mutex_);
  const auto servers = parts_.servers.list();
  std::erase_if(outages_, [&](const auto& outage) {
    const auto view = std::ranges::find(servers, outage.first, [](const ServerView& one) { return one.server.id; });
    return view == servers.end() || view->status.health != ServerHealth::unreachable;
  });
  for (const auto& view : servers) {
    if (view.server.fence == Fence::agent) check_promise(view);
    if (settings_.mode == FailoverMode::manual || view.server.fence == Fence::none) continue;
    if (view.status.health != ServerHealth::unreachable) continue;
    const auto [at, fresh] = outages_.try_emplace(view.server.id);
    Outage& outage = at->second;
    if (fresh) {
      outage.since = outage.next_try = parts_.clock.instant();
      outage.retry = settings_.first_retry;
    }
    if (is_due(view, outage)) begin(view, outage);
  }
}

void FailoverWatch::check_promise(const ServerView& view) {
  const auto unit = parts_.servers.unit(view.server.id);
  if (unit == nullptr || view.status.running == 0) return;
  if (!unit->inventory->snapshot()->health.connected) return;
  if (const auto noted = parts_.leases.note_running(view.server.id, parts_.clock.instant() - kOldest); !noted) {
    log::warning("fleet", "server {}: {}", view.server.name, noted.error().describe());
  }
}

bool FailoverWatch::is_due(const ServerView& view, const Outage& outage) const {
  const Instant now = parts_.clock.instant();
  if (outage.running != nullptr && outage.running->current().state == operations::State::running) return false;
  if (now < outage.next_try || !has_containers(view.server.id)) return false;
  if (view.server.fence == Fence::command || parts_.mover.fenced(view.server.id)) return true;
  const AgentView agent = parts_.leases.agent(view.server.id);
  if (agent.bond == Bond::timed && agent.silent) return true;
  return agent.bond != Bond::none && !agent.silent && now >= outage.since + settings_.engine_patience;
}

bool FailoverWatch::has_containers(ServerId server) const {
  const auto state = parts_.mover.fleet_state();
  return std::ranges::any_of(state.containers, [&](const PlacedContainer& one) { return one.server == server; });
}

void FailoverWatch::begin(const ServerView& view, Outage& outage) {
  auto begun = parts_.ha.fail_over(view.server.id, false, system_origin());
  outage.next_try = parts_.clock.instant() + outage.retry;
  if (begun) {
    log::warning("fleet", "server {} is down: its containers are brought back elsewhere", view.server.name);
    outage.running = std::move(*begun);
    outage.retry = std::min(outage.retry * 2, settings_.last_retry);
    outage.last_refusal.clear();
    return;
  }
  const std::string refusal = begun.error().describe();
  if (std::exchange(outage.last_refusal, refusal) != refusal) {
    log::warning("fleet", "no failover of server {}: {}", view.server.name, refusal);
  }
}

}  // namespace berth::fleet
