#include "fleet/lease_book.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "fleet/container_input.h"
#include "identity/lookup_hash.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

constexpr std::string_view kTokenBeginning = "berth_agent_";
constexpr std::size_t kTokenBytes = 32;
/// That an agent has to start again what it has stopped, before the rest of its server is let go on.
constexpr std::chrono::minutes kStarting{2};
/// Renewals after which an agent that was not heard of is not expected.
constexpr int kMissed = 3;
/// Leases of one agent: more than are given while one request is on its way.
constexpr std::size_t kRemembered = 32;

Error bad_token() {
  return Error(ErrorCode::unauthenticated, "lease.token",
               {"代理令牌无效；请用 berth servers agent 重新签发",
                "The agent's token is not valid; berth servers agent issues a new one"});
}

Bond bond_of(std::string_view word) {
  for (const Bond bond : {Bond::timed, Bond::standing}) {
    if (word == name(bond)) return bond;
  }
  return Bond::none;
}

audit::Entry noted(std::string action, const std::string& server, std::map<std::string, std::string> details) {
  details["name"] = server;
  return {std::move(action), "server", server, audit::Outcome::success, json::to_json(details)};
}

}  // namespace

Result<std::unique_ptr<LeaseBook>> LeaseBook::create(const LeaseTerms& terms, Parts parts) {
  std::unique_ptr<LeaseBook> book(new LeaseBook(terms, std::move(parts)));
  const auto rows = BERTH_TRY(book->parts_.database.read(
      [](store::Transaction& transaction) { return transaction.query("SELECT * FROM server_leases"); }));
  for (const auto& row : rows) {
    auto entry = std::make_shared<Entry>();
    entry->token_hash = row.text("token_hash");
    entry->bond = bond_of(row.text("bond"));
    entry->certain_after = std::chrono::milliseconds(row.integer("certain_after"));
    entry->granted = book->parts_.clock.instant();
    book->entries_.emplace(ServerId(row.integer("server_id")), std::move(entry));
  }
  return book;
}

LeaseBook::EntryPointer LeaseBook::find(ServerId server) const {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(server);
  return at == entries_.end() ? nullptr : at->second;
}

Result<Secret> LeaseBook::issue_token(const Server& server, const audit::Origin& origin) {
  if (server.fence != Fence::agent) {
    return Error(ErrorCode::conflict, "lease.no_agent",
                 {fmt::format("服务器 {} 的隔离方式不是 agent", server.name),
                  fmt::format("The fence of server {} is not an agent", server.name)});
  }
  Secret token(std::string(kTokenBeginning) + to_base64url(random_bytes(kTokenBytes)));
  const std::string hash = identity::lookup_hash(token.reveal());
  // What an older agent has promised holds until it is heard of no more.
  BERTH_CHECK(parts_.database.write([&](store::Transaction& transaction) -> Result<void> {
    BERTH_CHECK(transaction.execute(
        "INSERT INTO server_leases (server_id, token_hash, updated_at) VALUES (:server, :hash, :now) "
        "ON CONFLICT (server_id) DO UPDATE SET token_hash = excluded.token_hash, updated_at = excluded.updated_at",
        {{"server", server.id}, {"hash", hash}, {"now", parts_.clock.now()}}));
    return parts_.audit.append(transaction, origin, noted("server.agent", server.name, {}));
  }));
  EntryPointer entry;
  {
    const std::lock_guard lock(mutex_);
    EntryPointer& place = entries_[server.id];
    if (place == nullptr) place = std::make_shared<Entry>();
    entry = place;
  }
  const std::lock_guard lock(entry->mutex);
  entry->token_hash = hash;
  return token;
}

Result<void> LeaseBook::bind(ServerId server, Entry& entry, Bond bond, std::string_view why) {
  const auto certain_after =
      bond == Bond::none ? std::chrono::milliseconds(0) : std::max(entry.certain_after, terms_.certain_after());
  if (entry.bond == bond && entry.certain_after == certain_after) return {};
  BERTH_CHECK(parts_.database.write([&](store::Transaction& transaction) {
    return transaction.execute(
        "UPDATE server_leases SET bond = :bond, certain_after = :certain_after, updated_at = :now "
        "WHERE server_id = :server",
        {{"bond", name(bond)},
         {"certain_after", certain_after.count()},
         {"now", parts_.clock.now()},
         {"server", server}});
  }));
  log::info("fleet", "the agent of server {}: {} ({})", server.value(), name(bond), why);
  entry.bond = bond;
  entry.certain_after = certain_after;
  return {};
}

bool LeaseBook::has_ended(const Entry& entry, Instant now) const {
  return now >= entry.granted + entry.certain_after;
}

Result<LeaseAnswer> LeaseBook::answer(const std::string& server, std::string_view token, const LeaseRequest& request) {
  const auto known = parts_.surroundings.server(server);
  const EntryPointer entry = known ? find(known->id) : nullptr;
  if (entry == nullptr) return bad_token();
  const Secret hash(identity::lookup_hash(token));
  LeaseAnswer answer;
  {
    const std::lock_guard lock(entry->mutex);
    if (!hash.matches(entry->token_hash)) return bad_token();
    note_what_it_says(*entry, request);
    answer.grant = BERTH_TRY(decide(*known, *entry, request));
    note_what_it_gets(*entry, request, answer.grant);
    answer.number = entry->number;
  }
  answer.terms = terms_;
  if (request.owes > 0) {
    answer.not_to_start = parts_.surroundings.not_to_start(known->id);
  } else {
    answer.not_to_start.elsewhere = parts_.surroundings.elsewhere(known->id);
  }
  return answer;
}

const LeaseBook::Given* LeaseBook::find_given(const Entry& entry, std::int64_t number) {
  const auto at = std::ranges::find(entry.given, number, &Given::number);
  return at == entry.given.end() ? nullptr : &*at;
}

void LeaseBook::note_what_it_says(Entry& entry, const LeaseRequest& request) const {
  const bool knows_newest = entry.number == 0 || request.last_answer == entry.number;
  entry.owes = request.owes > 0 || (entry.owes && !knows_newest);
  if (!entry.owes || request.holding == Holding::nothing) {
    entry.owes_since.reset();
  } else if (!entry.owes_since) {
    entry.owes_since = parts_.clock.instant();
  }
  entry.holds_standing = request.holding == Holding::standing;
  // A lease begins when it is asked for.
  const Given* held = find_given(entry, request.last_answer);
  if (request.holding != Holding::timed) {
    entry.held_until = {};
  } else if (held != nullptr) {
    entry.held_until = std::max(entry.held_until, held->asked_after + terms_.duration);
  }
}

void LeaseBook::note_what_it_gets(Entry& entry, const LeaseRequest& request, Grant grant) const {
  if (grant == Grant::released) entry.owes = false;
  if (grant == Grant::refused) return entry.given.clear();
  // No answer is taken up that was waited for longer.
  Instant asked_after = parts_.clock.instant() - kLongestAsking;
  if (const Given* known = find_given(entry, request.last_answer)) asked_after = std::max(asked_after, known->at);
  // Also greater than those of an earlier run.
  entry.number = std::max(entry.number + 1, parts_.clock.now().time_since_epoch().count());
  entry.given.push_back({entry.number, entry.granted, asked_after});
  if (entry.given.size() > kRemembered) entry.given.pop_front();
}

Result<Grant> LeaseBook::decide(const Server& server, Entry& entry, const LeaseRequest& request) {
  entry.heard = parts_.clock.instant();
  const bool up_to_date = entry.number == 0 || request.last_answer == entry.number;
  if (server.fence != Fence::agent) {
    BERTH_CHECK(bind(server.id, entry, Bond::none, "the fence is another one"));
    return Grant::released;
  }
  if (entry.closed || parts_.surroundings.fenced(server.id)) {
    const bool says_so = request.holding == Holding::nothing && request.running == 0;
    entry.stopped = entry.stopped || (up_to_date && says_so);
    return Grant::refused;
  }
  if (request.leaving) {
    BERTH_CHECK(bind(server.id, entry, Bond::none, "it ends in order"));
    return Grant::released;
  }
  // It is counted on once it holds what it is given now.
  if (request.holding == Holding::unbound) BERTH_CHECK(bind(server.id, entry, Bond::none, "it begins anew"));
  if (standing_offered_ && entry.bond != Bond::none) {
    BERTH_CHECK(bind(server.id, entry, Bond::standing, "until it hears from us again"));
    return Grant::standing;
  }
  const bool bound_now = request.holding == Holding::timed || request.holding == Holding::nothing;
  if (up_to_date && bound_now) BERTH_CHECK(bind(server.id, entry, Bond::timed, "it holds leases"));
  // After what was written, which may have taken its time.
  entry.granted = parts_.clock.instant();
  return Grant::timed;
}

AgentView LeaseBook::agent(ServerId server) const {
  const EntryPointer entry = find(server);
  if (entry == nullptr) return {};
  const std::lock_guard lock(entry->mutex);
  AgentView view{.bond = entry->bond};
  const Instant now = parts_.clock.instant();
  if (entry->heard) view.silent_for = std::chrono::duration_cast<std::chrono::milliseconds>(now - *entry->heard);
  view.silent = has_ended(*entry, now);
  return view;
}

bool LeaseBook::lets_run(ServerId server) const {
  const EntryPointer entry = find(server);
  if (entry == nullptr) return true;
  const std::lock_guard lock(entry->mutex);
  const Instant now = parts_.clock.instant();
  // Whoever was not heard of for long stops everything, or is not counted on.
  const bool owes = entry->owes && entry->heard && now < *entry->heard + terms_.certain_after() &&
                    (!entry->owes_since || now < *entry->owes_since + kStarting);
  if (owes || entry->closed) return false;
  if (entry->bond == Bond::standing) return entry->holds_standing;
  return entry->bond == Bond::none || now < entry->held_until;
}

bool LeaseBook::is_heard_of(ServerId server) const {
  const EntryPointer entry = find(server);
  if (entry == nullptr) return false;
  const std::lock_guard lock(entry->mutex);
  return parts_.clock.instant() < entry->heard.value_or(began_) + kMissed * terms_.renewal;
}

void LeaseBook::close(ServerId server) {
  const EntryPointer entry = find(server);
  if (entry == nullptr) return;
  const std::lock_guard lock(entry->mutex);
  if (!std::exchange(entry->closed, true)) entry->stopped = false;
}

void LeaseBook::reopen(ServerId server) {
  const EntryPointer entry = find(server);
  if (entry == nullptr) return;
  const std::lock_guard lock(entry->mutex);
  entry->closed = entry->stopped = false;
}

bool LeaseBook::is_certain(ServerId server) const {
  const EntryPointer entry = find(server);
  if (entry == nullptr) return false;
  const std::lock_guard lock(entry->mutex);
  if (!entry->closed || entry->bond == Bond::none) return false;
  return entry->stopped || (entry->bond == Bond::timed && has_ended(*entry, parts_.clock.instant()));
}

Result<void> LeaseBook::note_running(ServerId server, Instant seen) {
  const EntryPointer entry = find(server);
  if (entry == nullptr) return {};
  const std::lock_guard lock(entry->mutex);
  if (entry->bond != Bond::timed || entry->closed || !has_ended(*entry, seen)) return {};
  log::warning("fleet", "containers run on server {} without a lease: its agent is not counted on", server.value());
  return bind(server, *entry, Bond::none, "containers ran without a lease");
}

bool LeaseBook::all_standing() const {
  std::vector<EntryPointer> entries;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, entry] : entries_) entries.push_back(entry);
  }
  const Instant now = parts_.clock.instant();
  return std::ranges::none_of(entries, [&](const EntryPointer& entry) {
    const std::lock_guard lock(entry->mutex);
    const bool alive = entry->heard && now < *entry->heard + 3 * terms_.renewal;
    return alive && entry->bond == Bond::timed && !entry->closed;
  });
}

}  // namespace berth::fleet
