#include "identity/token.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/encoding.h"

namespace berth::identity {
namespace {

using std::chrono::seconds;

const std::string kKey(32, 'k');
const Timestamp kNow{seconds(1'800'000'000)};

TokenClaims claims() {
  return {"11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222",
          "33333333-3333-4333-8333-333333333333", kNow, kNow + seconds(900)};
}

TokenCodec codec() {
  return {Secret(kKey), "berth"};
}

std::string signature(const EVP_MD* digest, std::string_view key, const std::string& input) {
  std::string mac(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  HMAC(digest, key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(input.data()),
       input.size(), reinterpret_cast<unsigned char*>(mac.data()), &size);
  mac.resize(size);
  return to_base64url(mac);
}

/// A token of any header and payload, rightly signed.
std::string forged(const std::string& header, const std::string& payload, const EVP_MD* digest = EVP_sha256()) {
  const std::string input = to_base64url(header) + "." + to_base64url(payload);
  return input + "." + signature(digest, kKey, input);
}

const std::string kHeader = R"({"alg":"HS256","typ":"JWT"})";
const std::string kPayload =
    R"({"iss":"berth","sub":"11111111-1111-4111-8111-111111111111","sid":"22222222-2222-4222-8222-222222222222",)"
    R"("jti":"33333333-3333-4333-8333-333333333333","iat":1800000000,"exp":1800000900})";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string_view refusal(const Result<TokenClaims>& result) {
  return result ? std::string_view("accepted") : result.error().reason();
}

TEST(Token, what_was_issued_is_read_back) {
  const auto token = codec().issue(claims());
  ASSERT_TRUE(token);
  const auto read = codec().parse(*token, kNow);
  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_EQ(read->user_uuid, claims().user_uuid);
  EXPECT_EQ(read->session_id, claims().session_id);
  EXPECT_EQ(read->token_id, claims().token_id);
  EXPECT_EQ(read->issued_at, claims().issued_at);
  EXPECT_EQ(read->expires_at, claims().expires_at);
}

TEST(Token, one_made_elsewhere_with_the_key_is_read) {
  EXPECT_TRUE(codec().parse(forged(kHeader, kPayload), kNow));
}

TEST(Token, it_ends_at_the_second_it_names) {
  const auto token = codec().issue(claims());
  ASSERT_TRUE(token);
  EXPECT_TRUE(codec().parse(*token, kNow + seconds(899)));
  EXPECT_EQ(refusal(codec().parse(*token, kNow + seconds(900))), "auth.expired");
}

TEST(Token, an_expired_one_with_a_wrong_signature_is_just_invalid) {
  const TokenCodec other(Secret(std::string(32, 'x')), "berth");
  const auto token = other.issue(claims());
  ASSERT_TRUE(token);
  EXPECT_EQ(refusal(codec().parse(*token, kNow + seconds(9000))), "auth.invalid");
}

TEST(Token, the_algorithm_none_is_refused_in_every_spelling) {
  for (const char* alg : {"none", "None", "NONE", "nOnE"}) {
    const std::string header = replaced(kHeader, "HS256", alg);
    const std::string input = to_base64url(header) + "." + to_base64url(kPayload);
    EXPECT_EQ(refusal(codec().parse(input + ".", kNow)), "auth.invalid") << alg;
    EXPECT_EQ(refusal(codec().parse(input, kNow)), "auth.invalid") << alg;
    EXPECT_EQ(refusal(codec().parse(forged(header, kPayload), kNow)), "auth.invalid") << alg;
  }
}

TEST(Token, other_algorithms_are_refused_even_if_rightly_signed) {
  EXPECT_EQ(refusal(codec().parse(forged(replaced(kHeader, "HS256", "HS384"), kPayload, EVP_sha384()), kNow)),
            "auth.invalid");
  EXPECT_EQ(refusal(codec().parse(forged(replaced(kHeader, "HS256", "HS512"), kPayload, EVP_sha512()), kNow)),
            "auth.invalid");
  for (const char* alg : {"RS256", "ES256", "EdDSA", ""}) {
    EXPECT_EQ(refusal(codec().parse(forged(replaced(kHeader, "HS256", alg), kPayload), kNow)), "auth.invalid") << alg;
  }
  EXPECT_EQ(refusal(codec().parse(forged("{}", kPayload), kNow)), "auth.invalid");
}

TEST(Token, no_change_of_any_character_goes_unnoticed) {
  const auto token = codec().issue(claims());
  ASSERT_TRUE(token);
  for (std::size_t i = 0; i < token->size(); ++i) {
    std::string altered = *token;
    altered[i] = altered[i] == 'A' ? 'B' : 'A';
    ASSERT_EQ(refusal(codec().parse(altered, kNow)), "auth.invalid") << i;
    ASSERT_EQ(refusal(codec().parse(token->substr(0, i), kNow)), "auth.invalid") << i;
  }
  EXPECT_EQ(refusal(codec().parse(*token + "A", kNow)), "auth.invalid");
  EXPECT_EQ(refusal(codec().parse(*token + ".", kNow)), "auth.invalid");
  EXPECT_EQ(refusal(codec().parse(" " + *token, kNow)), "auth.invalid");
}

TEST(Token, another_issuer_is_refused) {
  EXPECT_EQ(refusal(codec().parse(forged(kHeader, replaced(kPayload, "berth", "other")), kNow)), "auth.invalid");
  EXPECT_EQ(refusal(codec().parse(forged(kHeader, replaced(kPayload, R"("iss":"berth",)", "")), kNow)), "auth.invalid");
}

TEST(Token, missing_or_odd_claims_are_refused) {
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {R"("sub":"11111111-1111-4111-8111-111111111111",)", ""},
           {R"("sub":"11111111-1111-4111-8111-111111111111")", R"("sub":7)"},
           {"22222222-2222-4222-8222-222222222222", "x"},
           {R"(,"jti":"33333333-3333-4333-8333-333333333333")", ""},
           {R"("exp":1800000900)", R"("exp":"1800000900")"},
           {R"(,"exp":1800000900)", ""},
           {R"("exp":1800000900)", R"("exp":9223372036854775807)"},
           {R"("exp":1800000900)", R"("exp":1e300)"},
           {R"("exp":1800000900)", R"("exp":-1)"},
           {R"("iat":1800000000)", R"("iat":null)"},
           {R"("iat":1800000000)", R"("iat":1900000000)"}}) {
    EXPECT_EQ(refusal(codec().parse(forged(kHeader, replaced(kPayload, from, to)), kNow)), "auth.invalid") << to;
  }
}

TEST(Token, what_is_no_token_is_refused) {
  for (const std::string& text :
       {std::string(), std::string("."), std::string(".."), std::string("..."), std::string("a.b.c"),
        std::string("eyJhbGciOiJIUzI1NiJ9.."), std::string("a\0b.c.d", 7), std::string("令牌.令牌.令牌"),
        forged("null", "null"), forged("[]", kPayload), forged(kHeader, "[]"), forged(kHeader, "{"),
        forged(kHeader, std::string(1000, '['))}) {
    EXPECT_EQ(refusal(codec().parse(text, kNow)), "auth.invalid") << text;
  }
}

TEST(Token, a_huge_one_is_refused_unread) {
  const std::string huge =
      forged(kHeader, replaced(kPayload, "{", R"({"filler":")" + std::string(TokenCodec::kLongest, 'a') + R"(",)"));
  EXPECT_EQ(refusal(codec().parse(huge, kNow)), "auth.invalid");
  EXPECT_EQ(refusal(codec().parse(std::string(50'000'000, 'a'), kNow)), "auth.invalid");
  const std::string fits =
      forged(kHeader, replaced(kPayload, "{", R"({"filler":")" + std::string(2000, 'a') + R"(",)"));
  EXPECT_EQ(refusal(codec().parse(fits, kNow)), "accepted");
}

}  // namespace
}  // namespace berth::identity
