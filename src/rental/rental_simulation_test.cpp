// Lives of rentals by chance: time, renewals, failures, kills, people and clocks in any order. Whatever came, what must
// never happen did not, and once it is quiet all is as it should be.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <random>
#include <set>
#include <sstream>
#include <stdexcept>

#include "rental/rental_fixture.h"

namespace berth::rental {
namespace {

constexpr int kRentals = 4;
constexpr int kEvents = 50;
constexpr hours kLargestJump{5};

struct Killed : std::runtime_error {
  Killed() : std::runtime_error("killed") {}
};

class Life : public RentalFixture {
 public:
  explicit Life(unsigned seed) : chance_(seed) {
    for (int i = 0; i < kRentals; ++i) {
      rentals_.push_back(rent("c" + std::to_string(i), format_date(plus_days(day("2024-12-01"), below(20)))));
    }
    watch();
  }

  void run() {
    for (int event = 0; event < kEvents; ++event) {
      try {
        happen();
        work();
      } catch (const Killed&) {
        watch();
        begin();
      }
    }
    settle();
  }

 private:
  int below(int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(chance_); }
  /// The time that it really is.
  Timestamp really() const { return clock_.now() - jumped_; }
  RentalId any() { return rentals_[static_cast<std::size_t>(below(kRentals))].id; }

  void happen() {
    switch (below(10)) {
      case 0:
      case 1:
        return live(minutes(1 + below(600)), minutes(10));
      case 2:
        return live(hours(1 + below(100)), hours(2));
      case 3: {
        const Rental rental = now(any());
        const Date wanted = plus_days(rental.expiry_date, below(30) - 3);
        const auto renewed = service().renew(rental.id, wanted, origin());
        if (!renewed && reason_of(renewed) != "rental.expiry_date") throw std::runtime_error(reason_of(renewed));
        return;
      }
      case 4:
        return jump(minutes(below(600) - 300));
      case 5:
        return jump(-jumped_);
      case 6: {
        constexpr std::array<const char*, 5> kKinds = {"stop", "kill", "archive", "restore", "start"};
        return fleet_.fail(kKinds.at(static_cast<std::size_t>(below(5))), 1 + below(5));
      }
      case 7:
        kill_at_ = below(4);
        return;
      case 8:
        begin();
        return;
      case 9: {
        // Somebody starts what was stopped.
        const auto container = now(any()).container;
        if (!fleet_.archived(container)) fleet_.set_status(container, compute::Status::running);
        return;
      }
      default:
        return;
    }
  }

  void jump(std::chrono::microseconds by) {
    if (jumped_ + by > kLargestJump || jumped_ + by < -kLargestJump) return;
    clock_.jump(by);
    jumped_ += by;
  }

  /// Looks at each change in the moment that it takes effect.
  void watch() {
    kill_at_ = -1;
    fleet_.interpose([this](const std::string& kind, bool after) {
      if (kill_at_ == 0) throw Killed();
      if (kill_at_ > 0) --kill_at_;
      if (after) return;
      for (const auto& made : rentals_) {
        const auto name = fleet_.of(made.container).name;
        if (fleet_.calls().back() != kind + " " + name) continue;
        const Rental rental = now(made.id);
        if (kind == "stop" || kind == "kill") {
          EXPECT_GE(really(), rental.expires_at - kLargestJump);
        }
        if (kind == "archive") {
          EXPECT_GE(really(), rental.expires_at + days(7) - 2 * kLargestJump);
          EXPECT_FALSE(fleet_.runs(made.container));
        }
        if (kind == "start" || kind == "restore") {
          EXPECT_LT(really(), rental.expires_at + kLargestJump);
        }
        EXPECT_NE(rental.step, Step::none) << "each step is noted before it is taken";
      }
    });
  }

  void settle() {
    kill_at_ = -1;
    jump(-jumped_);
    for (const auto* kind : {"stop", "kill", "archive", "restore", "start"}) fleet_.fail(kind, 0);
    live(hours(2), minutes(5));
    for (const auto& made : rentals_) {
      const Rental rental = now(made.id);
      SCOPED_TRACE(fmt::format("rental {} to {}, {} {}, now {}", rental.id.value(), format_date(rental.expiry_date),
                               name(rental.state), name(rental.step), format_utc(clock_.now())));
      EXPECT_EQ(rental.step, Step::none);
      EXPECT_EQ(rental.failures, 0);
      if (clock_.now() < rental.expires_at) {
        EXPECT_EQ(rental.state, State::active);
        EXPECT_TRUE(fleet_.runs(rental.container));
      } else if (rental.state == State::archived) {
        EXPECT_TRUE(fleet_.archived(rental.container));
      } else {
        EXPECT_EQ(rental.state, State::expired);
        EXPECT_LT(clock_.now(), archive_at(rental, settings_.engine.terms));
        EXPECT_FALSE(fleet_.runs(rental.container));
        EXPECT_FALSE(fleet_.archived(rental.container));
      }
    }
    EXPECT_FALSE(fleet_.collided());
    const auto keys = notices_.keys();
    EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), keys.size()) << "a notice went out twice";
  }

  std::mt19937 chance_;
  std::vector<Rental> rentals_;
  std::chrono::microseconds jumped_{0};
  int kill_at_ = -1;  ///< after so many more changes; below 0: never
};

TEST(RentalSimulationTest, WhateverHappensNothingIsForgottenAndNothingDoneTooEarly) {
  // More of them, from another seed on, where they are asked for: "301 1000".
  unsigned seed = 1;
  unsigned lives = 30;
  if (const char* wanted = std::getenv("BERTH_RENTAL_LIVES")) std::istringstream(wanted) >> seed >> lives;
  for (const unsigned end = seed + lives; seed < end; ++seed) {
    SCOPED_TRACE(seed);
    Life(seed).run();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace berth::rental
