#pragma once

#include <cstdint>
#include <exception>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/result.h"
#include "store/database.h"
#include "store/statement.h"
#include "store/value.h"

namespace soci {
class session;
}

namespace berth::store {

enum class Kind { read, write };

/// One connection to an engine, with its prepared statements. The only place, with its descendants
/// and Statement, that knows SOCI: what SOCI throws ends here. Not thread-safe.
class Connection {
 public:
  virtual ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  virtual Dialect dialect() const = 0;
  /// Runs statements without parameters and answers, parted by ";".
  virtual Result<void> script(const std::string& sql) = 0;
  virtual Result<void> begin(Kind kind) = 0;
  /// False when the engine has ended the transaction by itself, as both do when the disk is full or
  /// the connection is lost.
  virtual bool in_transaction() const = 0;
  /// False once the connection is lost for good; then it must be replaced.
  virtual bool alive() const = 0;
  virtual Result<bool> has_table(std::string_view name) = 0;

  /// As in Transaction.
  Result<std::int64_t> execute(std::string_view sql, const Parameters& parameters);
  Result<Rows> query(std::string_view sql, const Parameters& parameters);

 protected:
  explicit Connection(std::unique_ptr<soci::session> session);
  soci::session& session() { return *session_; }
  virtual std::unique_ptr<Statement> prepare(const std::string& sql) = 0;
  /// Turns the exception in flight, which SOCI or the standard library threw, into an Error.
  /// Rethrows bugs.
  virtual Error translate_current() = 0;
  /// Called around everything that waits for the engine.
  virtual void call_begins() {}
  virtual void call_ends() noexcept {}
  /// Must be called by the descendant's destructor, before the session is closed.
  void forget_statements();

 protected:
  /// Brackets one call to the engine.
  class Call {
   public:
    explicit Call(Connection& connection) : connection_(connection) { connection_.call_begins(); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() { connection_.call_ends(); }

   private:
    Connection& connection_;
  };

 private:
  using Entry = std::pair<std::string, std::unique_ptr<Statement>>;

  Statement& statement(std::string_view sql);

  std::unique_ptr<soci::session> session_;
  // Most recently used first; the keys of the index point into the list's strings.
  std::list<Entry> statements_;
  std::unordered_map<std::string_view, std::list<Entry>::iterator> index_;
};

}  // namespace berth::store
