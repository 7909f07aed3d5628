#pragma once

#include <optional>
#include <string>
#include <vector>

#include "store/connection.h"
#include "store/database.h"

namespace berth::store {

/// What is delivered to listeners once the transaction that said it is committed.
struct Notification {
  std::string channel;
  std::string payload;
};

/// The transaction that a body works in. After a statement has failed nothing more runs in it and
/// it is rolled back whatever the body returns: PostgreSQL cannot go on, so SQLite must not either.
class ActiveTransaction : public Transaction {
 public:
  ActiveTransaction(Connection& connection, Kind kind) : connection_(connection), kind_(kind) {}

  Result<std::int64_t> execute(std::string_view sql, const Parameters& parameters) override;
  Result<Rows> query(std::string_view sql, const Parameters& parameters) override;
  Result<std::int64_t> insert(std::string_view sql, const Parameters& parameters) override;
  Dialect dialect() const override { return connection_.dialect(); }

  Kind kind() const { return kind_; }
  const std::optional<Error>& failure() const { return failure_; }
  /// Notifications that the engine does not carry itself.
  std::vector<Notification>& notifications() { return notifications_; }

 private:
  template <class T>
  Result<T> remember(Result<T> result);

  Connection& connection_;
  Kind kind_;
  std::optional<Error> failure_;
  std::vector<Notification> notifications_;
};

/// Runs `body` and yields its error, or that of a statement whose failure it passed over.
Result<void> run_body(const std::function<Result<void>(Transaction&)>& body, ActiveTransaction& transaction);

/// Marks this thread as being inside a transaction of `database` while it lives. Throws
/// std::logic_error if it already is: a nested transaction would wait for the one around it.
class NestingGuard {
 public:
  explicit NestingGuard(const Database& database);
  NestingGuard(const NestingGuard&) = delete;
  NestingGuard& operator=(const NestingGuard&) = delete;
  ~NestingGuard();
  /// Throws std::logic_error if this thread is inside a transaction of `database`.
  static void refuse_nested(const Database& database);

 private:
  const Database* outer_;
};

}  // namespace berth::store
