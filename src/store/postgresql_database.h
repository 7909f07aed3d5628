#pragma once

#include <memory>
#include <span>

#include "store/postgresql_listener.h"
#include "store/sql_database.h"
#include "store/stall_guard.h"

namespace berth::store {

class PostgresqlDatabase : public SqlDatabase {
 public:
  static Result<std::unique_ptr<Database>> open(const Settings& settings, metrics::Registry& metrics,
                                                std::span<const Migration> migrations);
  ~PostgresqlDatabase() override { stop(); }

  Result<void> backup_to(const std::filesystem::path& target) override;
  Result<void> notify(Transaction& transaction, std::string_view channel, std::string_view payload) override;
  void listen(Listener listener) override { listener_->listen(std::move(listener)); }

 protected:
  Result<void> lock_for_migration(Connection& connection) override;
  // A server's backups are its administrator's; a step that fails is rolled back as a whole.
  Result<void> before_migration(int) override { return {}; }

 private:
  PostgresqlDatabase(const Settings& settings, metrics::Registry& metrics, std::span<const Migration> migrations,
                     const Secret& connection_string, std::shared_ptr<StallGuard> guard);

  std::unique_ptr<PostgresqlListener> listener_;
};

}  // namespace berth::store
