#include "store/postgresql_database.h"

#include <fmt/format.h>

#include <utility>

#include "store/notification_rules.h"
#include "store/postgresql_connection.h"

namespace berth::store {

PostgresqlDatabase::PostgresqlDatabase(const Settings& settings, metrics::Registry& metrics,
                                       std::span<const Migration> migrations, const Secret& connection_string,
                                       std::shared_ptr<StallGuard> guard)
    // The guard is owned by what opens connections, which the base destroys after the last of them.
    : SqlDatabase(
          settings, metrics, migrations,
          [connection_string, wait = settings.wait, guard = std::move(guard)](Kind) {
            return PostgresqlConnection::open(connection_string, wait, *guard);
          },
          [](const std::vector<Notification>&) {}) {}

Result<std::unique_ptr<Database>> PostgresqlDatabase::open(const Settings& settings, metrics::Registry& metrics,
                                                           std::span<const Migration> migrations) {
  const Secret connection_string = BERTH_TRY(complete_connection_string(settings.postgresql, settings.wait));
  std::unique_ptr<PostgresqlDatabase> database(
      new PostgresqlDatabase(settings, metrics, migrations, connection_string, std::make_shared<StallGuard>()));
  BERTH_CHECK(database->start());
  database->listener_ = BERTH_TRY(PostgresqlListener::start(connection_string));
  return database;
}

Result<void> PostgresqlDatabase::backup_to(const std::filesystem::path&) {
  return Error(ErrorCode::unsupported, "store.backup",
               {"PostgreSQL 数据库请使用 pg_dump 备份", "Use pg_dump to back up a PostgreSQL database"});
}

Result<void> PostgresqlDatabase::notify(Transaction& transaction, std::string_view channel, std::string_view payload) {
  auto& active = BERTH_TRY(notifying(transaction, channel, payload)).get();
  BERTH_CHECK(
      active.query("SELECT pg_notify(:carrier, :message)",
                   {{"carrier", PostgresqlListener::kCarrier}, {"message", fmt::format("{}\n{}", channel, payload)}}));
  return {};
}

Result<void> PostgresqlDatabase::lock_for_migration(Connection& connection) {
  return static_cast<PostgresqlConnection&>(connection).lock_for_migration();
}

}  // namespace berth::store
