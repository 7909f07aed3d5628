#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <span>
#include <string>

#include "metrics/registry.h"
#include "postgresql_server.h"
#include "store/database.h"
#include "store/migration.h"
#include "temporary_folder.h"

namespace berth::store {

/// A schema small enough to see through, with every kind of column and constraint.
inline constexpr Migration kTestSchema[] = {{1, "things", "checksum-1",
                                             "CREATE TABLE things (id {{id}}, name {{text}} UNIQUE, number {{bigint}},"
                                             " ratio {{real}}, note {{text}}) {{strict}};"
                                             "CREATE TABLE parts (id {{id}}, thing_id {{bigint}} NOT NULL"
                                             " REFERENCES things (id), amount {{bigint}} NOT NULL"
                                             " CHECK (amount >= 0)) {{strict}};"}};

/// An empty place to open stores in: a new file, or a new database of the private server.
class Place {
 public:
  explicit Place(Dialect dialect) {
    settings_.dialect = dialect;
    if (dialect == Dialect::sqlite) {
      settings_.file = folder_.path() / "store.db";
    } else {
      settings_.postgresql = Secret(testing::PostgresqlServer::instance().create_database());
    }
  }

  Database::Settings& settings() { return settings_; }
  const std::filesystem::path& folder() const { return folder_.path(); }
  metrics::Registry& metrics() { return metrics_; }

  Result<std::unique_ptr<Database>> open(std::span<const Migration> schema = kTestSchema) {
    return open_with(settings_, metrics_, schema);
  }
  /// Opened and migrated.
  std::unique_ptr<Database> ready(std::span<const Migration> schema = kTestSchema) {
    auto database = open(schema);
    if (!database) throw std::runtime_error(database.error().describe());
    if (auto migrated = (*database)->migrate(); !migrated) throw std::runtime_error(migrated.error().describe());
    return *std::move(database);
  }

 private:
  testing::TemporaryFolder folder_;
  metrics::Registry metrics_;
  Database::Settings settings_;
};

inline std::string engine_name(const ::testing::TestParamInfo<Dialect>& info) {
  return info.param == Dialect::sqlite ? "sqlite" : "postgresql";
}

class BothEngines : public ::testing::TestWithParam<Dialect> {
 protected:
  void SetUp() override { database_ = place_.ready(); }
  // Before the members of the test itself go, to which its listeners refer.
  void TearDown() override { database_.reset(); }

  Database& database() { return *database_; }

  std::int64_t add(std::string name, Value number = nullptr) {
    auto id = database().write([&](Transaction& transaction) {
      return transaction.insert("INSERT INTO things (name, number) VALUES (:name, :number)",
                                {{"name", name}, {"number", number}});
    });
    if (!id) throw std::runtime_error(id.error().describe());
    return *id;
  }
  std::int64_t count() {
    auto count = database().read([](Transaction& transaction) -> Result<std::int64_t> {
      return BERTH_TRY(transaction.query("SELECT count(*) AS n FROM things")).front().integer("n");
    });
    if (!count) throw std::runtime_error(count.error().describe());
    return *count;
  }

  Place place_{GetParam()};
  std::unique_ptr<Database> database_;
};

}  // namespace berth::store
