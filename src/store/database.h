#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"
#include "metrics/registry.h"
#include "store/value.h"

namespace berth::store {

enum class Dialect { sqlite, postgresql };

/// What runs inside one transaction. Not thread-safe; lives only during the callback it is given to.
/// A statement that fails ends the transaction: later calls yield the same error, and it is rolled back
/// whatever the callback returns. To go on after a duplicate, write INSERT … ON CONFLICT DO NOTHING.
/// PostgreSQL infers a parameter's type from its place; where the place does not tell (":a IS NULL", a bare
/// column of a SELECT), write CAST(:a AS BIGINT). A statement whose parameters are not those of its text is a
/// bug and throws std::logic_error.
/// Errors of every call: already_exists "store.unique", conflict "store.constraint",
/// unavailable "store.unavailable" (locked, disk full, connection lost), invalid_argument "store.value" (text
/// that is not UTF-8 or contains NUL, a number that is not finite), internal.
class Transaction {
 public:
  virtual ~Transaction() = default;
  /// Runs a statement that returns no rows; yields how many rows it changed.
  virtual Result<std::int64_t> execute(std::string_view sql, const Parameters& parameters = {}) = 0;
  /// Runs a query. Statements are prepared once and cached by their text, so `sql` never carries values.
  virtual Result<Rows> query(std::string_view sql, const Parameters& parameters = {}) = 0;
  /// Runs an INSERT into a table with an integer `id` column that the store fills; yields that id.
  virtual Result<std::int64_t> insert(std::string_view sql, const Parameters& parameters = {}) = 0;
  virtual Dialect dialect() const = 0;
};

/// The one store. One writer thread groups waiting writes into one commit, readers work beside it. Write
/// transactions run strictly one after another, on PostgreSQL across all nodes, and a read sees one unchanging
/// state; so code behaves alike on both engines. Thread-safe; calls block the caller, so they belong on worker
/// threads, never on an I/O thread. A transaction inside another one of the same store is a bug and throws
/// std::logic_error. What a callback throws rolls its transaction back and reaches the caller.
class Database {
 public:
  struct Settings {
    Dialect dialect = Dialect::sqlite;
    std::filesystem::path file;            ///< SQLite: the database file; its folder must exist
    Secret postgresql;                     ///< PostgreSQL: a libpq connection string
    std::size_t readers = 2;               ///< connections for reading, at least 1, beside the writer's
    std::chrono::milliseconds wait{5000};  ///< how long a call waits for the store before "unavailable"
    std::filesystem::path backups;         ///< where a migration puts its backup; empty: beside the file
  };

  /// Opens the store and checks its schema's version; does not migrate. A schema newer than this binary's
  /// is refused: conflict "store.newer_schema".
  static Result<std::unique_ptr<Database>> open(const Settings& settings, metrics::Registry& metrics);
  virtual ~Database() = default;

  /// Runs `work` in a read transaction. `work` takes `Transaction&` and returns some Result<T>.
  template <class Work>
  auto read(Work&& work) -> std::invoke_result_t<Work, Transaction&> {
    return in_transaction<Work>(work, &Database::run_read);
  }
  /// Runs `work` in a write transaction: committed durably when this returns a value, without trace when it
  /// returns an error. `work` may run again after a serialisation conflict, so it must have no side effects
  /// outside the transaction.
  template <class Work>
  auto write(Work&& work) -> std::invoke_result_t<Work, Transaction&> {
    return in_transaction<Work>(work, &Database::run_write);
  }

  virtual Dialect dialect() const = 0;
  /// The version of the schema found, and the newest that this binary knows.
  virtual Result<int> schema_version() = 0;
  static int newest_schema_version();
  /// Brings the schema to the newest version, after a backup where there is something to lose. Safe to call
  /// from several nodes at once. Yields how many steps were taken.
  virtual Result<int> migrate() = 0;
  /// Writes a consistent copy of the SQLite database to `target`, a new file of mode 0600; it is complete when
  /// it appears. Errors: already_exists "store.backup_exists"; unsupported "store.backup" on PostgreSQL.
  virtual Result<void> backup_to(const std::filesystem::path& target) = 0;

  /// Tells every node, this one included, that something happened; delivered after the commit, in order, and
  /// not at all after a rollback. Errors: too_large "store.notification" when channel and payload together
  /// exceed kMaxNotification bytes. In a read transaction it is a bug and throws std::logic_error.
  virtual Result<void> notify(Transaction& transaction, std::string_view channel, std::string_view payload) = 0;
  static constexpr std::size_t kMaxNotification = 7000;
  /// The channel on which listeners hear that notifications may have been missed (the connection to PostgreSQL
  /// was lost for a while, or listeners were too slow): whoever keeps a copy of something reads it again.
  static constexpr std::string_view kMissedChannel = "store.missed";
  /// Receives what `notify` sent, until the database is destroyed: what the callback refers to must outlive it.
  /// The callback runs on a thread of the store's, must be short, and may use the store.
  using Listener = std::function<void(std::string_view channel, std::string_view payload)>;
  virtual void listen(Listener listener) = 0;

 protected:
  using Body = std::function<Result<void>(Transaction&)>;
  virtual Result<void> run_read(const Body& body) = 0;
  virtual Result<void> run_write(const Body& body) = 0;

 private:
  template <class Work>
  auto in_transaction(Work& work, Result<void> (Database::*run)(const Body&))
      -> std::invoke_result_t<Work, Transaction&> {
    using Outcome = std::invoke_result_t<Work, Transaction&>;
    std::optional<Outcome> outcome;
    Result<void> done = (this->*run)([&](Transaction& transaction) -> Result<void> {
      outcome.emplace(work(transaction));
      if (!*outcome) return outcome->error();
      return {};
    });
    if (!done) return take_error(done);
    return std::move(*outcome);
  }
};

}  // namespace berth::store
