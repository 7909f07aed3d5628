#include "store/database.h"

#include "store/migration.h"
#include "store/postgresql_database.h"
#include "store/sqlite_database.h"

namespace berth::store {

Result<std::unique_ptr<Database>> Database::open(const Settings& settings, metrics::Registry& metrics) {
  return open_with(settings, metrics, embedded_migrations());
}

Result<std::unique_ptr<Database>> open_with(const Database::Settings& settings, metrics::Registry& metrics,
                                            std::span<const Migration> migrations) {
  if (settings.dialect == Dialect::sqlite) return SqliteDatabase::open(settings, metrics, migrations);
  return PostgresqlDatabase::open(settings, metrics, migrations);
}

int Database::newest_schema_version() {
  const auto migrations = embedded_migrations();
  return migrations.empty() ? 0 : migrations.back().version;
}

}  // namespace berth::store
