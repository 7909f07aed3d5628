#pragma once

#include <atomic>
#include <filesystem>
#include <string_view>

#include "store/database.h"

namespace berth::operations {

/// A store for tests that can be made unavailable, and that counts what is written to it.
class FlakyDatabase final : public store::Database {
 public:
  explicit FlakyDatabase(store::Database& inner) : inner_(inner) {}

  std::atomic<bool> writes_fail{false};
  std::atomic<bool> reads_fail{false};
  std::atomic<int> writes{0};
  std::atomic<int> refused{0};

  store::Dialect dialect() const override { return inner_.dialect(); }
  Result<int> schema_version() override { return inner_.schema_version(); }
  Result<int> migrate() override { return inner_.migrate(); }
  Result<void> backup_to(const std::filesystem::path& target) override { return inner_.backup_to(target); }
  Result<void> notify(store::Transaction& transaction, std::string_view channel, std::string_view payload) override {
    return inner_.notify(transaction, channel, payload);
  }
  void listen(Listener listener) override { inner_.listen(std::move(listener)); }

 protected:
  Result<void> run_read(const Body& body) override {
    if (reads_fail) return refuse();
    return inner_.read(body);
  }
  Result<void> run_write(const Body& body) override {
    if (writes_fail) return refuse();
    ++writes;
    return inner_.write(body);
  }

 private:
  Error refuse() {
    ++refused;
    return Error(ErrorCode::unavailable, "store.unavailable", {"存储不可用", "The store is not available"});
  }

  store::Database& inner_;
};

}  // namespace berth::operations
