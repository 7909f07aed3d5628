#include "rental/rental_service.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <iostream>

#include "rental/rental_fixture.h"

namespace berth::rental {
namespace {

class RentalServiceTest : public RentalStoreTest {
 protected:
  std::string rented(const std::string& container, const std::string& until, UserId user) {
    return reason_of(service().rent(manager(), {user, container, day(until)}));
  }
  std::string renewed(RentalId id, const std::string& until) {
    return reason_of(service().renew(id, day(until), origin()));
  }
  std::string listed(const RentalFilter& filter) {
    std::string names;
    for (const auto& rental : must(service().list(filter)).rentals) names += rental.container_name + " ";
    return names;
  }
  /// Rows as `rent` writes them, without the fleet behind them. Those that are over ended on the days of November
  /// 2024, the others end on those of January 2025.
  void fill(std::int64_t count, std::int64_t expired) {
    constexpr std::string_view kDay = "(CASE WHEN n % 28 < 9 THEN '0' ELSE '' END || CAST(n % 28 + 1 AS TEXT))";
    must(database_->write([&](store::Transaction& transaction) {
      return transaction.execute(
          fmt::format("WITH RECURSIVE numbers (n) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM numbers "
                      "WHERE n + 1 < CAST(:count AS BIGINT)), ends (n, date, at) AS (SELECT n, CASE WHEN n < :expired "
                      "THEN '2024-11-' ELSE '2025-01-' END || {}, CASE WHEN n < :again THEN CAST(:november AS BIGINT) "
                      "ELSE CAST(:january AS BIGINT) END + (n % 28) * 86400000000 FROM numbers) "
                      "INSERT INTO rentals (user_id, container_id, container_name, expiry_date, expires_at, state, "
                      "due_at, notified_until, created_at, updated_at) "
                      "SELECT n % 100 + 1, 1000000 + n, 'c' || CAST(n AS TEXT), date, at, 'active', at, at, 0, 0 "
                      "FROM ends",
                      kDay),
          {{"count", count},
           {"expired", expired},
           {"again", expired},
           {"november", at("2024-11-02T00:00:00Z")},
           {"january", at("2025-01-02T00:00:00Z")}});
    }));
    const auto analyzed =
        database_->write([](store::Transaction& transaction) { return transaction.execute("ANALYZE rentals"); });
    EXPECT_TRUE(analyzed);
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, RentalServiceTest,
                         ::testing::Values(store::Dialect::sqlite, store::Dialect::postgresql), store::engine_name);

TEST_P(RentalServiceTest, ARentalBindsAUserAContainerAndADay) {
  const Rental made = rent("web", "2024-12-30");
  const Rental read = now(made.id);
  EXPECT_EQ(read.user, alice_);
  EXPECT_EQ(read.container_name, "web");
  EXPECT_EQ(format_date(read.expiry_date), "2024-12-30");
  EXPECT_EQ(read.expires_at, at("2024-12-31T00:00:00Z"));
  EXPECT_EQ(read.state, State::active);
  EXPECT_EQ(read.due_at, at("2024-12-24T00:00:00Z"));
  EXPECT_EQ(audited("rental.create"), 1);
}

TEST_P(RentalServiceTest, RefusesWhatCannotBeRented) {
  rent("web", "2024-12-30");
  fleet_.add("shop");
  EXPECT_EQ(rented("web", "2025-12-30", alice_), "rental.exists");
  EXPECT_EQ(rented("shop", "2024-11-30", alice_), "rental.expiry_date");
  EXPECT_EQ(rented("shop", "2024-12-30", UserId(999)), "user.not_found");
  EXPECT_EQ(rented("none", "2024-12-30", alice_), "container.not_found");
  EXPECT_EQ(rented("shop", "2024-12-01", alice_), "ok") << "the present day is not over";
}

TEST_P(RentalServiceTest, ARenewalIsToALaterDayThatIsNotOver) {
  const Rental rental = rent("web", "2024-12-30");
  EXPECT_EQ(renewed(rental.id, "2024-12-29"), "rental.expiry_date");
  EXPECT_EQ(renewed(rental.id, "2024-12-30"), "rental.expiry_date");
  EXPECT_EQ(renewed(rental.id, "2024-11-30"), "rental.expiry_date");
  EXPECT_EQ(renewed(RentalId(999), "2025-12-31"), "rental.not_found");
  EXPECT_EQ(renewed(rental.id, "2024-12-31"), "ok");
  EXPECT_EQ(format_date(now(rental.id).expiry_date), "2024-12-31");
  EXPECT_EQ(audited("rental.renew"), 1);
  const auto refused = service().renew(rental.id, day("2024-12-30"), origin());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(refused.error().fields().front().field, "new_expiry_date");
}

TEST_P(RentalServiceTest, DeletingARentalLeavesItsContainerAsItIs) {
  const Rental running = rent("web", "2024-12-30");
  const Rental stopped = rent("shop", "2024-12-01");
  clock_.pass(hours(12));
  work();
  must(service().remove(running.id, origin()));
  must(service().remove(stopped.id, origin()));
  live(days(60), hours(6));
  EXPECT_TRUE(fleet_.runs(running.container));
  EXPECT_FALSE(fleet_.runs(stopped.container));
  EXPECT_FALSE(fleet_.archived(stopped.container));
  EXPECT_EQ(reason_of(service().remove(running.id, origin())), "rental.not_found");
  EXPECT_EQ(audited("rental.delete"), 2);
  EXPECT_EQ(rented("web", "2025-12-30", alice_), "ok") << "it can be rented again";
}

TEST_P(RentalServiceTest, ListsByUserContainerStateAndDay) {
  rent("d", "2024-12-01");
  rent("c", "2024-12-20");
  rent("a", "2024-12-10");
  const UserId bob = add_user("bob");
  fleet_.add("b");
  must(service().rent(manager(), {bob, "b", day("2024-12-15")}));
  clock_.pass(hours(12));
  work();
  EXPECT_EQ(listed({}), "d a b c ");
  EXPECT_EQ(listed({.user = bob}), "b ");
  EXPECT_EQ(listed({.user = alice_, .state = State::active}), "a c ");
  EXPECT_EQ(listed({.state = State::expired}), "d ");
  EXPECT_EQ(listed({.expiring_before = day("2024-12-15")}), "d a ") << "before that day, not on it";
  EXPECT_EQ(listed({.container = now(RentalId(2)).container}), "c ");
  EXPECT_EQ(listed({.limit = 2, .offset = 1}), "a b ");
  EXPECT_EQ(must(service().list({.limit = 1})).total, 4);
}

TEST_P(RentalServiceTest, ChecksWhichAreOverWhateverBecameOfTheirContainers) {
  rent("web", "2024-12-01");
  rent("shop", "2024-12-30");
  EXPECT_EQ(must(service().expired({})).total, 0);
  clock_.pass(hours(12));
  auto page = must(service().expired({}));
  ASSERT_EQ(page.total, 1) << "also before the engine has come by";
  EXPECT_EQ(page.rentals.front().expiry_date, "2024-12-01");
  EXPECT_EQ(page.rentals.front().state, State::active);
  live(days(9), hours(1));
  page = must(service().expired(alice_));
  EXPECT_EQ(page.rentals.front().state, State::archived);
  EXPECT_EQ(must(service().expired(UserId(999))).total, 0);
}

TEST_P(RentalServiceTest, TellsTheEndsOfAllThatAreStillSomewhere) {
  rent("archived", "2024-12-01");
  clock_.pass(hours(12));
  work();
  live(days(7), hours(12));
  rent("later", "2024-12-30");
  rent("over", "2024-12-10");
  live(days(3), hours(12));
  const auto ends = must(service().ends());
  ASSERT_EQ(ends.size(), 2U);
  EXPECT_EQ(ends[0].container_name, "over");
  EXPECT_EQ(ends[1].expires_at, at("2024-12-31T00:00:00Z"));
}

TEST_P(RentalServiceTest, TellsAUserOnRequestOnceOfWhatExpiresOnADay) {
  rent("web", "2024-12-30");
  rent("shop", "2024-12-30");
  rent("later", "2024-12-31");
  const auto first = must(service().notify(alice_, day("2024-12-30"), origin()));
  EXPECT_EQ(first.sent, 2);
  const auto again = must(service().notify(alice_, day("2024-12-30"), origin()));
  EXPECT_EQ(again.sent, 0);
  EXPECT_EQ(again.sent_before, 2);
  EXPECT_EQ(notices_.keys(),
            (std::vector<std::string>{"rental:1:2024-12-30:requested", "rental:2:2024-12-30:requested"}));
  EXPECT_EQ(reason_of(service().notify(alice_, day("2024-12-29"), origin())), "rental.none_expires");
  EXPECT_EQ(reason_of(service().notify(UserId(999), day("2024-12-30"), origin())), "user.not_found");
  EXPECT_EQ(audited("rental.notify"), 2);
}

TEST_P(RentalServiceTest, ARequestThatIsNotTakenLeavesNoTrace) {
  rent("web", "2024-12-30");
  notices_.fail(1);
  EXPECT_EQ(reason_of(service().notify(alice_, day("2024-12-30"), origin())), "notify.queue_full");
  EXPECT_EQ(count("SELECT count(*) AS n FROM rental_notices"), 0);
  EXPECT_EQ(must(service().notify(alice_, day("2024-12-30"), origin())).sent, 1);
}

TEST_P(RentalServiceTest, ARequestThatReachesNobodySaysSoAndCanBeMadeAgain) {
  rent("web", "2024-12-30");
  notices_.reach_nobody(true);
  const auto notified = must(service().notify(alice_, day("2024-12-30"), origin()));
  EXPECT_EQ(notified.sent, 0);
  EXPECT_EQ(notified.unreachable, 1);
  notices_.reach_nobody(false);
  EXPECT_EQ(must(service().notify(alice_, day("2024-12-30"), origin())).sent, 1);
}

TEST_P(RentalServiceTest, ARentalOutlivesItsUser) {
  const Rental rental = rent("web", "2024-12-30");
  must(database_->write([&](store::Transaction& transaction) {
    return transaction.execute("DELETE FROM users WHERE id = :id", {{"id", alice_}});
  }));
  live(days(31), hours(6));
  EXPECT_FALSE(fleet_.runs(rental.container));
}

TEST_P(RentalServiceTest, GoesThroughStopArchiveAndReturn) {
  const Rental rental = rent("web", "2024-12-02");
  live(days(10), hours(1));
  EXPECT_TRUE(fleet_.archived(rental.container));
  begin();
  EXPECT_EQ(must(service().renew(rental.id, day("2025-12-31"), origin())).state, State::active);
  EXPECT_TRUE(fleet_.runs(rental.container));
  EXPECT_EQ(notices_.keys().size(), 2U) << "one day before and at the end; the others were over when it was rented";
}

TEST_P(RentalServiceTest, FindsAHundredThousandExpiredByOneIndex) {
  constexpr std::int64_t kAll = 100'000;
  service();
  fill(kAll, kAll);
  const auto begun = std::chrono::steady_clock::now();
  const auto page = must(service().expired({}));
  const auto taken = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun);
  EXPECT_EQ(page.total, kAll);
  EXPECT_EQ(page.rentals.size(), static_cast<std::size_t>(kAll));
  RecordProperty("all_expired_ms", std::to_string(taken.count()));
  std::cout << "check of 100,000 rentals, all expired: " << taken.count() << " ms\n";
}

TEST_P(RentalServiceTest, FindsTheFewExpiredAmongAHundredThousandByTheIndexAlone) {
  constexpr std::int64_t kAll = 100'000;
  constexpr std::int64_t kExpired = 100;
  service();
  fill(kAll, kExpired);
  const auto begun = std::chrono::steady_clock::now();
  const auto page = must(service().expired({}));
  const auto taken = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun);
  EXPECT_EQ(page.total, kExpired);
  RecordProperty("few_expired_us", std::to_string(taken.count()));
  std::cout << "check of 100,000 rentals, 100 expired: " << taken.count() << " us\n";

  const bool sqlite = GetParam() == store::Dialect::sqlite;
  const std::string explain = sqlite ? "EXPLAIN QUERY PLAN " : "EXPLAIN ";
  for (const auto& [query, index] : std::initializer_list<std::pair<std::string, std::string>>{
           {"SELECT id FROM rentals WHERE expires_at <= 1732924800000000 ORDER BY expires_at, id LIMIT 1000",
            "rentals_by_expiry"},
           {"SELECT id FROM rentals WHERE due_at <= 1732924800000000 ORDER BY due_at LIMIT 256", "rentals_by_due"},
           {"SELECT id FROM rentals WHERE state = 'expired' AND id > 7 ORDER BY id LIMIT 500", "rentals_stopped"}}) {
    const auto plan = must(database_->read([&](store::Transaction& transaction) -> Result<std::string> {
      std::string text;
      const auto rows = BERTH_TRY(transaction.query(explain + query));
      for (const auto& row : rows) text += row.text(sqlite ? "detail" : "QUERY PLAN") + "\n";
      return text;
    }));
    EXPECT_NE(plan.find(index), std::string::npos) << plan;
  }
}

TEST_P(RentalServiceTest, AThousandThatExpireAtOnceAreAllSeenTo) {
  for (int i = 0; i < 1000; ++i) rent("c" + std::to_string(i), "2024-12-01");
  begin(4);
  clock_.pass(hours(12));
  must(service().tick());
  service().drain();
  begin();
  work();
  EXPECT_EQ(must(service().list({.state = State::expired})).total, 1000);
  EXPECT_FALSE(fleet_.collided());
  EXPECT_EQ(fleet_.calls().size(), 1000U);
  EXPECT_EQ(notices_.keys().size(), 1000U);
}

}  // namespace
}  // namespace berth::rental
