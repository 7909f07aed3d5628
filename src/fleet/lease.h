#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// The lease that a server's agent holds (`berth agent`). While it holds one, containers may run there; when it runs
// out, the agent stops them all, with the engine or without it. So whoever has given none for long enough knows that
// nothing runs there, although the server does not answer. Both sides measure time from the same moment or on the safe
// side of it: the agent from before it asks, we from after we answered.
namespace berth::fleet {

/// How long an agent waits for an answer: it takes none to what it asked for longer ago.
constexpr std::chrono::milliseconds kLongestAsking{1500};

struct LeaseTerms {
  std::chrono::milliseconds duration{6000};  ///< of a lease, from when it was asked for
  std::chrono::milliseconds renewal{1000};   ///< between requests
  std::chrono::milliseconds stopping{2000};  ///< from its end until nothing runs any more
  std::chrono::milliseconds doubt{500};      ///< for clocks that go apart

  /// From an answer that granted a lease until it is certain that nothing runs.
  std::chrono::milliseconds certain_after() const { return duration + stopping + doubt; }
};

/// What an agent holds, by its own word.
enum class Holding {
  unbound,   ///< nothing, and containers run all the same: it has never had a lease, or was released
  nothing,   ///< nothing, so it lets nothing run
  timed,     ///< a lease that runs out
  standing,  ///< one that lasts until it hears from us again
};

enum class Grant {
  refused,   ///< stop everything now
  timed,     ///< go on until the lease ends
  standing,  ///< go on until you hear from us again: we end in order, and until then nobody fails over
  released,  ///< nobody counts on you: let everything run
};

struct LeaseRequest {
  Holding holding = Holding::unbound;
  std::uint32_t running = 0;  ///< containers of which processes are there
  std::uint32_t owes = 0;     ///< containers that it has stopped and not started again yet
  bool leaving = false;       ///< it ends in order and asks to be released
  /// Number of the last answer that it has taken up; 0 for none. What it says counts only if it knows the newest, so
  /// that a request which was long on its way tells nothing that is not true any more.
  std::int64_t last_answer = 0;
};

/// A container as its server's engine knows it.
struct ContainerThere {
  std::string engine_name;
  std::string engine_id;  ///< "" for whatever goes by that name
};

/// What an agent does not start again of what it has stopped.
struct NotToStart {
  std::vector<ContainerThere> elsewhere;  ///< live on another server now: nor are their restart policies given back
  std::vector<ContainerThere> unwanted;   ///< are to be stopped
  std::vector<ContainerThere> changing;   ///< are being changed: not yet
};

struct LeaseAnswer {
  Grant grant = Grant::refused;
  std::int64_t number = 0;
  LeaseTerms terms;
  NotToStart not_to_start;  ///< to one that owes nothing: only what lives elsewhere
};

/// What may be counted on of a server's agent.
enum class Bond {
  none,      ///< nothing: no agent, or one that never held a lease
  timed,     ///< it stops everything once it has not heard from us
  standing,  ///< only what it says itself: it was given a standing lease
};

std::string_view name(Holding holding);
std::string_view name(Grant grant);
std::string_view name(Bond bond);

}  // namespace berth::fleet
