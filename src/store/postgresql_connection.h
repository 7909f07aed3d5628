#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "store/connection.h"
#include "store/stall_guard.h"

namespace berth::store {

/// Completes a libpq connection string (either form) with limits and a name, where it does not set
/// them. Errors: invalid_argument "store.connection_string".
Result<Secret> complete_connection_string(const Secret& given, std::chrono::milliseconds wait);

/// A connection to PostgreSQL.
///
/// Writes run at READ COMMITTED under one advisory lock, taken before anything is read and held
/// until the commit is visible, so they follow one another across all nodes. SERIALIZABLE would
/// keep the same promise, but every audited change updates the head of the audit log: concurrent
/// writers would all collide there and run again and again, whereas the lock makes them queue, and
/// each node's group commit shares its cost. READ COMMITTED, because its statements see what was
/// committed while the lock was waited for.
class PostgresqlConnection : public Connection {
 public:
  /// `guard` must outlive the connection.
  static Result<std::unique_ptr<Connection>> open(const Secret& connection_string, std::chrono::milliseconds wait,
                                                  StallGuard& guard);
  ~PostgresqlConnection() override;

  Dialect dialect() const override { return Dialect::postgresql; }
  Result<void> script(const std::string& sql) override;
  Result<void> begin(Kind kind) override;
  bool in_transaction() const override;
  bool alive() const override;
  Result<bool> has_table(std::string_view name) override;

  /// Waits for the lock that lets one node migrate at a time, and lifts the time limits of this
  /// connection.
  Result<void> lock_for_migration();

 protected:
  std::unique_ptr<Statement> prepare(const std::string& sql) override;
  Error translate_current() override;
  void call_begins() override;
  void call_ends() noexcept override;

 private:
  struct Native;
  PostgresqlConnection(std::unique_ptr<soci::session> session, std::chrono::milliseconds wait, StallGuard& guard);
  Result<void> configure();
  Error translate(std::string_view state, std::string message) const;

  std::unique_ptr<Native> native_;
  std::chrono::milliseconds wait_;
  StallGuard& guard_;
  int watched_ = -1;
  bool limited_ = true;
  bool reading_ = false;
  bool lost_ = false;
};

}  // namespace berth::store
