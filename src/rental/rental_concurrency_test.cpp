// Renewals, deletions and the engine at once.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <thread>

#include "eventually.h"
#include "rental/rental_fixture.h"

namespace berth::rental {
namespace {

using testing::eventually;

/// A place at which a step waits for the test.
class Gate {
 public:
  void reach() {
    std::unique_lock lock(mutex_);
    reached_ = true;
    changed_.notify_all();
    changed_.wait_for(lock, seconds(15), [this] { return open_; });
  }
  bool reached() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, seconds(15), [this] { return reached_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool reached_ = false;
  bool open_ = false;
};

class RentalConcurrencyTest : public RentalTest {
 protected:
  void TearDown() override {
    gate_.open();
    service_.reset();
  }
  void stop_at(const std::string& kind, bool after) {
    fleet_.interpose([this, kind, after](const std::string& called, bool effected) {
      if (called == kind && effected == after) gate_.reach();
    });
  }
  /// A rental whose container was stopped, just before it goes to the archive.
  Rental about_to_be_archived() {
    const Rental rental = rent("web", "2024-12-02");
    live(days(2), hours(1));
    begin(4);
    clock_.pass(days(7));
    return rental;
  }

  Gate gate_;
};

TEST_F(RentalConcurrencyTest, ARenewalDuringTheArchivingBringsTheContainerBack) {
  for (const bool after : {false, true}) {
    SCOPED_TRACE(after);
    const Rental rental = rent(after ? "shop" : "web", "2024-12-30");
    begin();
    clock_.pass(days(31));
    work();
    begin(4);
    clock_.pass(days(7));
    Gate gate;
    fleet_.interpose([&gate, after](const std::string& called, bool effected) {
      if (called == "archive" && effected == after) gate.reach();
    });
    must(service().tick());
    ASSERT_TRUE(gate.reached());
    Result<Rental> renewed = Error(ErrorCode::internal, "none", {});
    std::jthread renewing([&] { renewed = service().renew(rental.id, day("2026-12-31"), origin()); });
    ASSERT_TRUE(eventually([&] { return now(rental.id).expiry_date == day("2026-12-31"); }));
    gate.open();
    renewing.join();
    EXPECT_EQ(must(std::move(renewed)).state, State::active);
    EXPECT_TRUE(fleet_.runs(rental.container));
    EXPECT_FALSE(fleet_.collided());
    fleet_.interpose(nullptr);
    clock_.jump(at("2024-12-01T12:00:00Z") - clock_.now());
  }
}

TEST_F(RentalConcurrencyTest, OfTwoRenewalsAtOnceTheLaterDayStands) {
  const Rental rental = rent("web", "2024-12-02");
  live(days(2), hours(1));
  begin(4);
  std::atomic<int> good{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, i] {
        const Date wanted = plus_days(day("2025-01-01"), i);
        const auto renewed = service().renew(rental.id, wanted, origin());
        if (renewed) ++good;
        if (!renewed && reason_of(renewed) != "rental.expiry_date") ADD_FAILURE() << renewed.error().describe();
      });
    }
  }
  EXPECT_GE(good, 1);
  EXPECT_EQ(format_date(now(rental.id).expiry_date), "2025-01-08");
  EXPECT_TRUE(eventually([&] { return now(rental.id).state == State::active; }));
  EXPECT_TRUE(fleet_.runs(rental.container));
  EXPECT_FALSE(fleet_.collided());
  EXPECT_EQ(audited("rental.renew"), good);
}

TEST_F(RentalConcurrencyTest, OneRentalHasOneStepAtATimeHoweverOftenTheEngineTicks) {
  const Rental rental = about_to_be_archived();
  stop_at("archive", false);
  must(service().tick());
  ASSERT_TRUE(gate_.reached());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(must(service().tick()).taken, 0U);
  gate_.open();
  ASSERT_TRUE(eventually([&] { return now(rental.id).state == State::archived; }));
  EXPECT_EQ(fleet_.count("archive web"), 1);
  EXPECT_FALSE(fleet_.collided());
}

TEST_F(RentalConcurrencyTest, ARentalIsNotDeletedInTheMiddleOfAStep) {
  const Rental rental = about_to_be_archived();
  stop_at("archive", false);
  must(service().tick());
  ASSERT_TRUE(gate_.reached());
  EXPECT_EQ(reason_of(service().remove(rental.id, origin())), "rental.busy");
  gate_.open();
  EXPECT_TRUE(eventually([&] { return reason_of(service().remove(rental.id, origin())) == "ok"; }));
  EXPECT_TRUE(fleet_.archived(rental.container));
}

TEST_F(RentalConcurrencyTest, ARenewalWaitsForASlowContainerNoLongerThanItMay) {
  settings_.renew_wait = std::chrono::milliseconds(500);
  const Rental rental = rent("web", "2024-12-02");
  live(days(2), hours(1));
  begin(4);
  stop_at("start", false);
  const Rental renewed = must(service().renew(rental.id, day("2025-12-31"), origin()));
  EXPECT_EQ(renewed.state, State::expired);
  EXPECT_EQ(renewed.step, Step::bring_back);
  EXPECT_FALSE(renewed.problem);
  gate_.open();
  EXPECT_TRUE(eventually([&] { return now(rental.id).state == State::active; }));
}

TEST_F(RentalConcurrencyTest, ArchivesHoldUpNothingElse) {
  const Rental slow = rent("web", "2024-12-02");
  const Rental quick = rent("shop", "2024-12-09");
  live(days(2), hours(1));
  begin(1);
  stop_at("archive", false);
  clock_.pass(days(7));
  must(service().tick());
  ASSERT_TRUE(gate_.reached());
  EXPECT_TRUE(eventually([&] { return now(quick.id).state == State::expired; }));
  const Rental renewed = must(service().renew(quick.id, day("2025-12-31"), origin()));
  EXPECT_EQ(renewed.state, State::active);
  EXPECT_EQ(now(slow.id).step, Step::archive);
  gate_.open();
  EXPECT_TRUE(eventually([&] { return now(slow.id).state == State::archived; }));
}

TEST_F(RentalConcurrencyTest, TheEndOfTheServiceWaitsForNoStepThatHasNotBegun) {
  for (int i = 0; i < 20; ++i) rent("c" + std::to_string(i), "2024-12-02");
  live(days(2), hours(1));
  begin(1);
  stop_at("archive", false);
  clock_.pass(days(7));
  must(service().tick());
  ASSERT_TRUE(gate_.reached());
  std::jthread ending([&] { service().drain(); });
  // From then on nothing is held any more.
  int extra = 0;
  ASSERT_TRUE(eventually([&] {
    const Rental other = rent("extra" + std::to_string(++extra), "2026-12-31");
    return reason_of(service().remove(other.id, origin())) == "rental.busy";
  }));
  gate_.open();
  ending.join();
  EXPECT_LT(must(service().list({.state = State::archived})).total, 20);
  begin();
  work();
  EXPECT_EQ(must(service().list({.state = State::archived})).total, 20) << "they are made at the next start";
  EXPECT_FALSE(fleet_.collided());
}

TEST_F(RentalConcurrencyTest, ASlowContainerHoldsUpNoOther) {
  rent("web", "2024-12-02");
  const Rental other = rent("shop", "2024-12-02");
  begin(2);
  clock_.pass(days(2));
  stop_at("stop", false);
  fleet_.interpose([this](const std::string&, bool effected) {
    static std::atomic<bool> first{true};
    if (!effected && first.exchange(false)) gate_.reach();
  });
  must(service().tick());
  ASSERT_TRUE(gate_.reached());
  EXPECT_TRUE(eventually([&] { return must(service().list({.state = State::expired})).total == 1; }));
  gate_.open();
  EXPECT_TRUE(eventually([&] { return must(service().list({.state = State::expired})).total == 2; }));
  EXPECT_FALSE(fleet_.runs(other.container));
}

}  // namespace
}  // namespace berth::rental
