#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/audit_log.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "fleet/lease.h"
#include "fleet/server.h"
#include "store/database.h"

namespace berth::fleet {

/// What is known of an agent, for decisions and to be shown.
struct AgentView {
  Bond bond = Bond::none;
  /// Since its last request; nothing: none since the start.
  std::optional<std::chrono::milliseconds> silent_for = std::nullopt;
  bool silent = true;  ///< its last lease has certainly ended
};

/// Who gives the servers' agents their leases. Requests are answered from memory but where what may be counted on
/// changes: that is written down first. One server's store never holds up another's lease. Thread-safe.
class LeaseBook {
 public:
  /// What it asks about a server; everything outlives it. Called without locks that the callee could wait for.
  struct Surroundings {
    /// Nothing for a server that is not there.
    std::function<std::optional<Server>(const std::string& name)> server;
    /// Whether it is written down that nothing runs there.
    std::function<bool(ServerId)> fenced;
    std::function<std::vector<ContainerThere>(ServerId)> elsewhere;
    std::function<NotToStart(ServerId)> not_to_start;
  };
  struct Parts {
    store::Database& database;
    audit::AuditLog& audit;
    const Clock& clock;
    Surroundings surroundings;
  };

  /// Reads what the store has. Every agent that was counted on is taken to have been given a lease just now.
  static Result<std::unique_ptr<LeaseBook>> create(const LeaseTerms& terms, Parts parts);

  /// A new token for the agent of a server, shown once; an older one is worth nothing any more. Errors: conflict
  /// "lease.no_agent" if the server's fence is not an agent.
  Result<Secret> issue_token(const Server& server, const audit::Origin& origin);

  /// Answers an agent. Errors: unauthenticated "lease.token", also for a server that is not there.
  Result<LeaseAnswer> answer(const std::string& server, std::string_view token, const LeaseRequest& request);

  AgentView agent(ServerId server) const;

  /// Whether what is started on a server keeps running, and what stands still there was not stopped by its agent. False
  /// also while that is not certain: for one or two renewals after a start of Berth or of an agent. What an agent
  /// cannot start does not hold up a server for longer than two minutes.
  bool lets_run(ServerId server) const;

  /// Whether its agent was heard of in the last renewals, so that it may have a lease soon; or nobody was yet.
  bool is_heard_of(ServerId server) const;

  /// Gives the agent of a server no more leases, so that `is_certain` becomes true; until `reopen`.
  void close(ServerId server);
  void reopen(ServerId server);
  /// Whether it is closed and certain that nothing runs there: its agent said so, or its last lease has ended.
  bool is_certain(ServerId server) const;

  /// The agent of a server does not do what it promised: its last lease ended before `seen`, and containers ran there
  /// then. Nothing is counted on any more until it is back.
  Result<void> note_running(ServerId server, Instant seen);

  /// From now on every agent that holds a lease is given a standing one: this process ends in order.
  void offer_standing() { standing_offered_ = true; }
  /// Whether no agent that was heard of lately holds a lease that runs out.
  bool all_standing() const;

  const LeaseTerms& terms() const { return terms_; }

 private:
  /// A lease that was given.
  struct Given {
    std::int64_t number = 0;
    Instant at{};
    Instant asked_after{};  ///< if it was taken up, its request was sent after this
  };
  struct Entry {
    mutable std::mutex mutex;  ///< held while its row is written
    std::string token_hash;
    Bond bond = Bond::none;
    std::chrono::milliseconds certain_after{0};
    Instant granted{};        ///< when the last lease was given
    std::int64_t number = 0;  ///< of the last answer that granted or released; 0: none since the start
    std::optional<Instant> heard;
    bool owes = false;                  ///< its agent has stopped what it has not started again
    std::optional<Instant> owes_since;  ///< though it may start it
    std::deque<Given> given;            ///< the newest leases, since the last refusal
    Instant held_until{};               ///< the agent certainly has its lease until then
    bool holds_standing = false;        ///< by its last word: that it was given one, it may not have heard
    bool closed = false;
    bool stopped = false;  ///< since it was closed its agent said that nothing runs
  };
  using EntryPointer = std::shared_ptr<Entry>;

  LeaseBook(const LeaseTerms& terms, Parts parts)
      : terms_(terms), parts_(std::move(parts)), began_(parts_.clock.instant()) {}
  EntryPointer find(ServerId server) const;
  Result<void> bind(ServerId server, Entry& entry, Bond bond, std::string_view why);
  Result<Grant> decide(const Server& server, Entry& entry, const LeaseRequest& request);
  bool has_ended(const Entry& entry, Instant now) const;
  static const Given* find_given(const Entry& entry, std::int64_t number);
  void note_what_it_says(Entry& entry, const LeaseRequest& request) const;
  void note_what_it_gets(Entry& entry, const LeaseRequest& request, Grant grant) const;

  const LeaseTerms terms_;
  const Parts parts_;
  const Instant began_;
  std::atomic<bool> standing_offered_{false};
  mutable std::mutex mutex_;
  std::map<ServerId, EntryPointer> entries_;
};

}  // namespace berth::fleet
