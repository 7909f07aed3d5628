#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "audit/audit_log.h"
#include "rental/fleet_fixture.h"
#include "rental/rental_rules.h"
#include "rental/rental_service.h"
#include "store/both_engines_fixture.h"

namespace berth::rental {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

/// The value, or the end of the test.
template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().describe());
  return std::move(*result);
}
inline void must(Result<void> result) {
  if (!result) throw std::runtime_error(result.error().describe());
}

/// The reason of a failure, or "ok".
template <class T>
std::string reason_of(const Result<T>& result) {
  return result ? std::string("ok") : std::string(result.error().reason());
}

inline Date day(const std::string& text) {
  return must(parse_date(text));
}
inline Timestamp at(const std::string& text) {
  return must(parse_timestamp(text));
}

/// A clock of days that can be set apart from the one that only runs on.
class SettableClock final : public Clock {
 public:
  explicit SettableClock(Timestamp start) : start_(start) {}
  Timestamp now() const override { return start_ + std::chrono::microseconds(passed_ + jumped_); }
  Instant instant() const override { return Instant{} + hours(24) + std::chrono::microseconds(passed_.load()); }
  void pass(std::chrono::microseconds time) { passed_ += time.count(); }
  void jump(std::chrono::microseconds by) { jumped_ += by.count(); }

 private:
  Timestamp start_;
  std::atomic<std::int64_t> passed_{0};
  std::atomic<std::int64_t> jumped_{0};
};

/// Keeps what it is given.
class NoticeBox final : public NoticeSender {
 public:
  Result<std::size_t> send(store::Transaction&, const Notice& notice) override {
    const std::lock_guard lock(mutex_);
    if (failing_ > 0) {
      --failing_;
      return Error(ErrorCode::exhausted, "notify.queue_full", {"通知队列已满", "The queue of notices is full"});
    }
    if (nobody_) return std::size_t{0};
    keys_.push_back(notice.key());
    return std::size_t{1};
  }
  void fail(int times) {
    const std::lock_guard lock(mutex_);
    failing_ = times;
  }
  /// As where neither mail nor a webhook is configured.
  void reach_nobody(bool nobody) {
    const std::lock_guard lock(mutex_);
    nobody_ = nobody;
  }
  std::vector<std::string> keys() const {
    const std::lock_guard lock(mutex_);
    return keys_;
  }

 private:
  mutable std::mutex mutex_;
  int failing_ = 0;
  bool nobody_ = false;
  std::vector<std::string> keys_;
};

/// Rentals over a store of their own, a fleet in memory and a clock that stands still at noon of 2024-12-01, UTC.
class RentalFixture {
 public:
  explicit RentalFixture(store::Dialect dialect = store::Dialect::sqlite)
      : place_(dialect), database_(place_.ready(store::embedded_migrations())) {
    audit_ = std::make_unique<audit::AuditLog>(*database_, Secret(std::string(32, 'k')), clock_);
    alice_ = add_user("alice");
  }

  /// Begins the service, or begins it anew, as after a restart.
  RentalService& begin(std::size_t workers = 0) {
    service_.reset();
    settings_.engine.workers = workers;
    service_ =
        must(RentalService::create(settings_, {*database_, *audit_, fleet_, notices_, place_.metrics(), clock_}));
    return *service_;
  }
  RentalService& service() { return service_ ? *service_ : begin(); }

  UserId add_user(const std::string& name) {
    return UserId(must(database_->write([&](store::Transaction& transaction) {
      return transaction.insert(
          "INSERT INTO users (uuid, username, username_key, password_hash, role, created_at, updated_at) "
          "VALUES (:uuid, :name, :key, '', 'user', 0, 0)",
          {{"uuid", "uuid-" + name}, {"name", name}, {"key", name}});
    })));
  }

  Rental rent(const std::string& container, const std::string& until) {
    fleet_.add(container);
    return must(service().rent(manager(), {alice_, container, day(until)}));
  }
  /// Runs the engine until it finds nothing more to do now.
  void work() {
    while (must(service().tick()).more) {
    }
  }
  /// Lets time pass in steps as a running engine sees it.
  void live(std::chrono::microseconds time, std::chrono::microseconds step = hours(1)) {
    for (; time > step; time -= step) {
      clock_.pass(step);
      work();
    }
    clock_.pass(time);
    work();
  }
  Rental now(RentalId id) { return must(service().find(id)); }

  static audit::Origin origin() { return {UserId(1), "root", "192.0.2.1", "container-rental", RequestId("r-1")}; }
  static fleet::Caller manager() { return {UserId(1), true, false, origin()}; }

  std::int64_t audited(const std::string& action) {
    audit::Filter filter;
    filter.action_prefix = action;
    return must(audit_->list(filter)).total;
  }
  std::int64_t count(std::string_view sql) {
    return must(database_->read([&](store::Transaction& transaction) -> Result<std::int64_t> {
      return BERTH_TRY(transaction.query(sql)).front().integer("n");
    }));
  }

 protected:
  store::Place place_;
  SettableClock clock_{at("2024-12-01T12:00:00Z")};
  FakeFleet fleet_;
  NoticeBox notices_;
  std::unique_ptr<store::Database> database_;
  std::unique_ptr<audit::AuditLog> audit_;
  RentalService::Settings settings_;
  std::unique_ptr<RentalService> service_;
  UserId alice_;
};

class RentalTest : public ::testing::Test, public RentalFixture {};

class RentalStoreTest : public ::testing::TestWithParam<store::Dialect>, public RentalFixture {
 protected:
  RentalStoreTest() : RentalFixture(GetParam()) {}
};

}  // namespace berth::rental
