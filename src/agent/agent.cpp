#include "agent/agent.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "agent/container_processes.h"
#include "base/log.h"

namespace berth::agent {
namespace {

using fleet::Grant;
using fleet::Holding;

/// Between requests while it waits for a lease.
constexpr std::chrono::milliseconds kImpatience{250};
/// How old the round of a living agent is at most.
constexpr std::chrono::seconds kAlive{3};
/// Rounds in a row after which it is believed that nothing runs.
constexpr int kQuiet = 2;

}  // namespace

Instant boot_clock_now() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return Instant(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

Result<std::unique_ptr<Agent>> Agent::create(Settings settings, LeaseSource& source, compute::InstanceEngine& engine) {
  auto memory = BERTH_TRY(Memory::open(settings.memory));
  return std::unique_ptr<Agent>(new Agent(std::move(settings), source, engine, std::move(memory)));
}

Agent::Agent(Settings settings, LeaseSource& source, compute::InstanceEngine& engine, Memory memory)
    : settings_(std::move(settings)),
      source_(source),
      engine_(engine),
      memory_(std::move(memory)),
      keeper_(memory_.content().lease) {}

Agent::~Agent() {
  {
    const Lock lock(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  for (std::thread* thread : {&asking_, &ordering_, &caring_}) {
    if (thread->joinable()) thread->join();
  }
}

void Agent::start() {
  const Instant now = boot_clock_now();
  order_kept_at_ = std::chrono::nanoseconds(now.time_since_epoch()).count();
  {
    const Lock lock(mutex_);
    if (keeper_.must_be_silent(now)) begin_silence(lock, now);
  }
  ordering_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "agent-order");
    keep_order();
  });
  asking_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "agent-lease");
    keep_asking();
  });
  caring_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "agent-engine");
    keep_up_with_engine();
  });
}

bool Agent::alive() const {
  const Instant last{std::chrono::nanoseconds(order_kept_at_.load())};
  return boot_clock_now() < last + kAlive;
}

bool Agent::leave() {
  bool released = false;
  {
    Lock lock(mutex_);
    leaving_ = true;
    while (true) {
      const Holding holding = keeper_.holding(boot_clock_now());
      released = holding == Holding::unbound;
      if (released || (holding == Holding::nothing && quiet_rounds_ >= kQuiet)) break;
      rest(lock, kImpatience);
    }
    ending_ = true;
  }
  wake_.notify_all();
  return released;
}

bool Agent::is_silent() const {
  const Lock lock(mutex_);
  return keeper_.must_be_silent(boot_clock_now());
}

void Agent::tell_change(const Lock&) {
  ++changes_;
  wake_.notify_all();
}

void Agent::rest(Lock& lock, std::chrono::milliseconds time) {
  const auto before = changes_;
  wake_.wait_for(lock, time, [&] { return ending_ || changes_ != before; });
}

void Agent::remember(const Lock&, Memory::Content content) {
  if (const auto kept = memory_.keep(std::move(content)); !kept) log::error("agent", "{}", kept.error().describe());
}

void Agent::keep_asking() {
  Lock lock(mutex_);
  while (!ending_) {
    lock.unlock();
    const Instant begun = boot_clock_now();
    ask_once();
    lock.lock();
    const bool settled = answered_ && !leaving_ && !keeper_.must_be_silent(boot_clock_now());
    const auto until = begun + (settled ? terms_.renewal : std::min(terms_.renewal, kImpatience));
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - boot_clock_now());
    wake_.wait_for(lock, std::max(left, std::chrono::milliseconds(1)), [this] { return ending_; });
  }
}

std::uint32_t Agent::count_running() {
  const auto running = static_cast<std::uint32_t>(ContainerProcesses::running(ids()).size());
  const Lock lock(mutex_);
  const bool believed = !keeper_.must_be_silent(boot_clock_now()) || quiet_rounds_ >= kQuiet;
  return believed ? running : std::max(running, 1U);
}

void Agent::ask_once() {
  const std::uint32_t running = count_running();
  fleet::LeaseRequest request;
  Instant sent;
  {
    const Lock lock(mutex_);
    sent = boot_clock_now();
    request = keeper_.request(sent, running, static_cast<std::uint32_t>(memory_.content().stopped.size()), leaving_);
  }
  const auto answer = source_.ask(request, Deadline::after(fleet::kLongestAsking));
  const Lock lock(mutex_);
  const bool answered = answer && take(*answer, request, sent);
  if (answered != std::exchange(answered_, answered)) {
    if (answer) log::info("agent", "Berth answers");
    if (!answer) log::warning("agent", "Berth does not answer: {}", answer.error().describe());
  }
  tell_change(lock);
}

/// With the lock held. What binds it is on the disk before it counts: otherwise the answer was not heard.
bool Agent::take(const fleet::LeaseAnswer& answer, const fleet::LeaseRequest& request, Instant sent) {
  LeaseKeeper after = keeper_;
  after.take(answer, sent);
  Memory::Content content = memory_.content();
  const KeptLease before = std::exchange(content.lease, after.kept());
  const bool binding = before.bound != content.lease.bound || before.standing != content.lease.standing;
  const auto kept = memory_.keep(std::move(content));
  if (!kept) {
    log::error("agent", "{}", kept.error().describe());
    if (binding && answer.grant != Grant::refused) return false;
  }
  if (binding || answer.grant == Grant::refused) {
    const Instant now = boot_clock_now();
    if (keeper_.holding(now) != after.holding(now)) log::info("agent", "the lease: {}", name(answer.grant));
  }
  keeper_ = after;
  terms_ = answer.terms;
  not_to_start_ = answer.not_to_start;
  told_all_ = request.owes > 0;
  return true;
}

}  // namespace berth::agent
