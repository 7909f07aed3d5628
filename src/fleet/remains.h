#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "compute/instance.h"
#include "fleet/access.h"
#include "fleet/server.h"
#include "store/database.h"

namespace berth::fleet {

/// What lies on a server of a container that lives elsewhere now.
struct Remains {
  std::int64_t id = 0;
  ServerId server{};
  ContainerId container{};
  std::string engine_name = {};
  std::string engine_id = {};             ///< "": whatever goes by that name
  std::vector<std::string> volumes = {};  ///< that go with it, if it is disposable
  /// All of it is elsewhere, so it goes as soon as its server answers. Otherwise it is stopped and kept.
  bool disposable = false;
};

/// Since when, and how, it is certain that nothing runs on a server that does not answer.
struct FenceMark {
  Timestamp at;
  std::string how;  ///< "command", "agent" or "person"
};

/// Remains and fenced servers, in the store and in memory. Thread-safe; reads come from memory.
class RemainsBook {
 public:
  RemainsBook(store::Database& database, const Clock& clock) : database_(database), clock_(clock) {}

  /// Reads what the store has; to be called after each transaction that changed it.
  Result<void> load();

  // Within a transaction; `load` follows it.
  Result<void> add(store::Transaction& transaction, const Remains& remains) const;
  static Result<void> remove(store::Transaction& transaction, std::int64_t id);
  Result<void> mark(store::Transaction& transaction, ServerId server, const std::string& how) const;
  /// False, and nothing happens, while a container of the server is being recovered elsewhere.
  static Result<bool> unmark(store::Transaction& transaction, ServerId server);
  static Result<bool> is_marked(store::Transaction& transaction, ServerId server);

  std::vector<Remains> on(ServerId server) const;
  /// What an instance of a server is the remains of.
  std::optional<Remains> match(ServerId server, const compute::Instance& instance) const;
  /// Where something of a container lies.
  std::set<ServerId> servers_of(ContainerId container) const;
  std::optional<FenceMark> fenced(ServerId server) const;
  /// Whether anything is to be looked after on a server.
  bool concerns(ServerId server) const;

 private:
  store::Database& database_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::multimap<ServerId, Remains> remains_;
  std::map<ServerId, FenceMark> fenced_;
};

}  // namespace berth::fleet
