#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "store/connection.h"

namespace berth::store {

/// A connection to a SQLite file in WAL mode, every commit synced.
class SqliteConnection : public Connection {
 public:
  /// Opens the file, which is made with mode 0600 if it is missing. A connection for reading
  /// refuses changes.
  static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& file, Kind kind,
                                                  std::chrono::milliseconds wait);
  ~SqliteConnection() override;

  Dialect dialect() const override { return Dialect::sqlite; }
  Result<void> script(const std::string& sql) override;
  Result<void> begin(Kind kind) override;
  bool in_transaction() const override;
  bool alive() const override { return true; }
  Result<bool> has_table(std::string_view name) override;

 protected:
  std::unique_ptr<Statement> prepare(const std::string& sql) override;
  Error translate_current() override;

 private:
  struct Native;
  SqliteConnection(std::unique_ptr<soci::session> session, Kind kind);
  Result<void> configure(std::chrono::milliseconds wait);
  Error translate(int code, std::string message) const;

  std::unique_ptr<Native> native_;
  Kind kind_;
};

}  // namespace berth::store
