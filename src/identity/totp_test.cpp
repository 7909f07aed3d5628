#include "identity/totp.h"

#include <gtest/gtest.h>

namespace berth::identity::totp {
namespace {

using std::chrono::seconds;

const std::string kSecret = "12345678901234567890";

Timestamp at(std::int64_t since_epoch) {
  return Timestamp(seconds(since_epoch));
}

/// RFC 6238, appendix B: the last six of its eight digits.
TEST(Totp, the_codes_are_those_of_the_standard) {
  EXPECT_EQ(code_at(kSecret, step_at(at(59))), "287082");
  EXPECT_EQ(code_at(kSecret, step_at(at(1111111109))), "081804");
  EXPECT_EQ(code_at(kSecret, step_at(at(1111111111))), "050471");
  EXPECT_EQ(code_at(kSecret, step_at(at(1234567890))), "005924");
  EXPECT_EQ(code_at(kSecret, step_at(at(2000000000))), "279037");
  EXPECT_EQ(code_at(kSecret, step_at(at(20000000000))), "353130");
}

/// RFC 4648, section 10, without the padding.
TEST(Totp, base32_is_that_of_the_standard) {
  EXPECT_EQ(to_base32(""), "");
  EXPECT_EQ(to_base32("f"), "MY");
  EXPECT_EQ(to_base32("fo"), "MZXQ");
  EXPECT_EQ(to_base32("foo"), "MZXW6");
  EXPECT_EQ(to_base32("foob"), "MZXW6YQ");
  EXPECT_EQ(to_base32("fooba"), "MZXW6YTB");
  EXPECT_EQ(to_base32("foobar"), "MZXW6YTBOI");
}

TEST(Totp, one_step_of_drift_is_forgiven_and_no_more) {
  const std::string code = code_at(kSecret, 1000);
  EXPECT_FALSE(match(kSecret, code, at(998 * 30 + 29), 0));
  for (const std::int64_t step : {999, 1000, 1001}) EXPECT_EQ(match(kSecret, code, at(step * 30), 0), 1000) << step;
  EXPECT_FALSE(match(kSecret, code, at(1002 * 30), 0));
}

TEST(Totp, a_code_counts_once_and_so_do_those_before_it) {
  EXPECT_FALSE(match(kSecret, code_at(kSecret, 1000), at(1000 * 30), 1000));
  EXPECT_FALSE(match(kSecret, code_at(kSecret, 999), at(1000 * 30), 1000));
  EXPECT_EQ(match(kSecret, code_at(kSecret, 1001), at(1000 * 30), 1000), 1001);
}

TEST(Totp, what_is_not_six_digits_does_not_match) {
  const std::string code = code_at(kSecret, 1000);
  for (const std::string& text : {std::string(), code.substr(0, 5), code + "0", " " + code.substr(1),
                                  std::string(6, '\0'), std::string(100'000, '0'), std::string("١٢٣")}) {
    EXPECT_FALSE(match(kSecret, text, at(1000 * 30), 0));
  }
}

TEST(Totp, the_uri_is_encoded) {
  EXPECT_EQ(uri("Berth & Co", "a.b@c", "MZXW6"),
            "otpauth://totp/"
            "Berth%20%26%20Co:a.b%40c?secret=MZXW6&issuer=Berth%20%26%20Co&algorithm=SHA1&digits=6"
            "&period=30");
}

}  // namespace
}  // namespace berth::identity::totp
