#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include "store/notifier.h"
#include "store/sql_database.h"

namespace berth::store {

class SqliteDatabase : public SqlDatabase {
 public:
  static Result<std::unique_ptr<Database>> open(const Settings& settings, metrics::Registry& metrics,
                                                std::span<const Migration> migrations);
  ~SqliteDatabase() override { stop(); }

  Result<void> backup_to(const std::filesystem::path& target) override;
  Result<void> notify(Transaction& transaction, std::string_view channel, std::string_view payload) override;
  void listen(Listener listener) override { notifier_.listen(std::move(listener)); }

 protected:
  Result<void> lock_for_migration(Connection&) override { return {}; }
  Result<void> before_migration(int version) override;

 private:
  SqliteDatabase(const Settings& settings, metrics::Registry& metrics, std::span<const Migration> migrations);

  Notifier notifier_;
};

}  // namespace berth::store
