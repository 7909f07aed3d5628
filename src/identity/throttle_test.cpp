#include "identity/throttle.h"

#include <gtest/gtest.h>

namespace berth::identity {
namespace {

using std::chrono::seconds;

TEST(Throttle, free_attempts_cost_nothing) {
  for (int failures = 0; failures < 5; ++failures) EXPECT_EQ(LoginThrottle::wait_after(failures, 5), seconds(0));
}

TEST(Throttle, the_wait_doubles_from_a_second_to_a_quarter_of_an_hour) {
  EXPECT_EQ(LoginThrottle::wait_after(5, 5), seconds(1));
  EXPECT_EQ(LoginThrottle::wait_after(6, 5), seconds(2));
  EXPECT_EQ(LoginThrottle::wait_after(14, 5), seconds(512));
  EXPECT_EQ(LoginThrottle::wait_after(15, 5), seconds(900));
  EXPECT_EQ(LoginThrottle::wait_after(16, 5), seconds(900));
}

TEST(Throttle, any_count_has_a_wait) {
  EXPECT_EQ(LoginThrottle::wait_after(INT64_MAX, 5), seconds(900));
  EXPECT_EQ(LoginThrottle::wait_after(0, 0), seconds(1));
}

TEST(Throttle, attempts_are_told_apart) {
  const auto subject = [](std::string_view address) { return LoginThrottle::attempt_on(UserId(1), address).address; };
  EXPECT_EQ(subject(""), "");
  EXPECT_EQ(subject("192.0.2.1"), "address:192.0.2.1");
  EXPECT_EQ(subject("2001:db8::1"), subject("2001:db8:0:0:ffff::"));
  EXPECT_NE(subject("2001:db8::1"), subject("2001:db8:0:1::1"));
  EXPECT_NE(subject("::ffff:192.0.2.1"), subject("::ffff:192.0.2.2"));
  EXPECT_LT(subject(std::string(1'000'000, 'x')).size(), 100U);
  EXPECT_NE(LoginThrottle::attempt_on(UserId(1), "").account, LoginThrottle::attempt_on(UserId(2), "").account);
  EXPECT_NE(LoginThrottle::attempt_on("1", "").account, LoginThrottle::attempt_on(UserId(1), "").account);
  EXPECT_EQ(LoginThrottle::attempt_on("mallory", "").account.find("mallory"), std::string::npos);
}

}  // namespace
}  // namespace berth::identity
