#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "fleet/failover_mode.h"
#include "fleet/high_availability.h"
#include "fleet/lease_book.h"
#include "fleet/relocation.h"
#include "fleet/server_registry.h"

namespace berth::fleet {

/// Begins the failover of servers that are down and have a fence. One whose agent still holds leases, so that only its
/// engine is down and its containers run on, is given time to come back. What fails, or leaves something behind, is
/// tried again later and later. Thread-safe.
class FailoverWatch {
 public:
  struct Settings {
    FailoverMode mode = FailoverMode::automatic;
    std::chrono::milliseconds engine_patience{60'000};  ///< with an engine that is down beside a living agent
    std::chrono::milliseconds first_retry{15'000};      ///< doubles up to the last
    std::chrono::milliseconds last_retry{300'000};
  };
  struct Parts {
    HighAvailability& ha;
    ServerRegistry& servers;
    LeaseBook& leases;
    const ContainerMover& mover;
    const Clock& clock;
  };

  FailoverWatch(const Settings& settings, const Parts& parts) : settings_(settings), parts_(parts) {}

  /// Looks at every server; called several times a second. Begins operations but waits for none.
  void tick();

 private:
  struct Outage {
    Instant since{};
    Instant next_try{};
    std::chrono::milliseconds retry{0};
    operations::TicketPointer running;
    std::string last_refusal;
  };

  void check_promise(const ServerView& view);
  /// Whether it can be begun now, as far as is known.
  bool is_due(const ServerView& view, const Outage& outage) const;
  bool has_containers(ServerId server) const;
  void begin(const ServerView& view, Outage& outage);

  const Settings settings_;
  const Parts parts_;
  std::mutex mutex_;
  std::map<ServerId, Outage> outages_;
};

}  // namespace berth::fleet
