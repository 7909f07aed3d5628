#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "store/connection.h"
#include "store/connection_pool.h"
#include "store/database.h"
#include "store/group_writer.h"
#include "store/migration.h"
#include "store/store_metrics.h"

namespace berth::store {

/// What both engines have in common: transactions over a writer and a pool of readers, and
/// migrating.
class SqlDatabase : public Database {
 public:
  Dialect dialect() const override { return settings_.dialect; }
  Result<int> schema_version() override;
  Result<int> migrate() override;

 protected:
  /// Opens a connection of the given kind. Called from several threads.
  using Connect = std::function<Result<std::unique_ptr<Connection>>(Kind)>;

  SqlDatabase(Settings settings, metrics::Registry& metrics, std::span<const Migration> migrations, Connect connect,
              GroupWriter::Deliver deliver);

  const Settings& settings() const { return settings_; }
  Result<std::unique_ptr<Connection>> connect(Kind kind) { return connect_(kind); }
  /// Connects and checks the schema; to be called once, by the opener.
  Result<void> start();
  /// Ends the writer; to be called first by the descendant's destructor, since the writer delivers
  /// to it.
  void stop() { writer_.reset(); }

  /// Makes sure that one node migrates at a time, until `connection` is closed.
  virtual Result<void> lock_for_migration(Connection& connection) = 0;
  /// Called before the first step is taken on a store that has some already.
  virtual Result<void> before_migration(int version) = 0;

  Result<void> run_read(const Body& body) override;
  Result<void> run_write(const Body& body) override;

 private:
  Result<void> read_once(const Body& body, bool& lost);

  const Settings settings_;
  const std::span<const Migration> migrations_;
  const Connect connect_;
  const GroupWriter::Deliver deliver_;
  StoreMetrics metrics_;
  ConnectionPool readers_;
  std::unique_ptr<GroupWriter> writer_;
};

}  // namespace berth::store
