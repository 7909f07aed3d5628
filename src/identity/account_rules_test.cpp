#include "identity/account_rules.h"

#include <gtest/gtest.h>

namespace berth::identity {
namespace {

template <class Check, class... Args>
std::vector<std::string> refused_by(Check check, const Args&... args) {
  std::vector<FieldError> refused;
  check(args..., refused);
  std::vector<std::string> fields;
  for (const auto& field : refused) fields.push_back(field.field);
  return fields;
}

TEST(AccountRules, names_of_letters_digits_and_three_marks_fit) {
  for (const std::string& name : {std::string("a"), std::string("Alice.B_c-9"), std::string(64, 'x')}) {
    EXPECT_TRUE(refused_by(check_username, name).empty()) << name;
  }
}

TEST(AccountRules, other_names_do_not) {
  for (const std::string& name :
       {std::string(), std::string(65, 'x'), std::string("a b"), std::string("a@b"), std::string("用户"),
        std::string("аdmin"), std::string("a\0b", 3), std::string("a\nb"), std::string("a:b"), std::string("../x"),
        std::string(1'000'000, 'x')}) {
    EXPECT_EQ(refused_by(check_username, name), std::vector<std::string>{"username"});
  }
}

TEST(AccountRules, nobody_may_be_called_system) {
  EXPECT_FALSE(refused_by(check_username, "System").empty());
  EXPECT_TRUE(refused_by(check_username, "systems").empty());
}

TEST(AccountRules, usual_addresses_fit) {
  const std::string longest_local = std::string(64, 'l').append("@example.com");
  for (const std::string& email : {std::string(), std::string("a@b"), std::string("first.last+tag@Sub.Example.com"),
                                   std::string("o'neil@example.com"), longest_local}) {
    EXPECT_TRUE(refused_by(check_email, email).empty()) << email;
  }
}

TEST(AccountRules, what_is_no_address_does_not) {
  const std::string long_local = std::string(65, 'l').append("@b");
  const std::string long_label = std::string("a@").append(64, 'd');
  const std::string too_long = std::string("a@")
                                   .append(60, 'd')
                                   .append(".")
                                   .append(60, 'd')
                                   .append(".")
                                   .append(60, 'd')
                                   .append(".")
                                   .append(60, 'd')
                                   .append(".")
                                   .append(60, 'd');
  for (const std::string& email : {std::string("a"),
                                   std::string("@"),
                                   std::string("a@"),
                                   std::string("@b"),
                                   std::string("a@b@c"),
                                   std::string("a b@c"),
                                   std::string("a@b c"),
                                   std::string(".a@b"),
                                   std::string("a.@b"),
                                   std::string("a..b@c"),
                                   std::string("a@.b"),
                                   std::string("a@b."),
                                   std::string("a@b..c"),
                                   std::string("a@-b"),
                                   std::string("a@b-"),
                                   std::string("\"a\"@b"),
                                   std::string("用户@例子"),
                                   std::string("a@b\n"),
                                   long_local,
                                   long_label,
                                   too_long}) {
    EXPECT_EQ(refused_by(check_email, email), std::vector<std::string>{"email"}) << email;
  }
}

TEST(AccountRules, passwords_are_text_of_8_to_1024_bytes) {
  const auto refused = [](const std::string& text) {
    return !refused_by(check_password, Secret(text), "alice").empty();
  };
  EXPECT_FALSE(refused("12345678"));
  EXPECT_FALSE(refused(std::string(1024, 'x')));
  EXPECT_FALSE(refused("密码密"));
  EXPECT_TRUE(refused("1234567"));
  EXPECT_TRUE(refused(""));
  EXPECT_TRUE(refused(std::string(1025, 'x')));
  EXPECT_TRUE(refused("\xff\xfe\xff\xfe\xff\xfe\xff\xfe"));
}

TEST(AccountRules, the_password_is_not_the_name) {
  EXPECT_FALSE(refused_by(check_password, Secret("aLiCe-Smith"), "Alice-smith").empty());
  EXPECT_TRUE(refused_by(check_password, Secret("alice-smith2"), "alice-smith").empty());
}

TEST(AccountRules, key_names_are_counted_in_characters) {
  EXPECT_TRUE(refused_by(check_key_name, "部署 \"机器\"").empty());
  std::string name;
  for (int i = 0; i < 64; ++i) name += "键";
  EXPECT_TRUE(refused_by(check_key_name, name).empty());
  EXPECT_FALSE(refused_by(check_key_name, name + "x").empty());
  EXPECT_FALSE(refused_by(check_key_name, "").empty());
  EXPECT_FALSE(refused_by(check_key_name, "a\nb").empty());
  EXPECT_FALSE(refused_by(check_key_name, "\xff").empty());
}

TEST(AccountRules, a_scope_holds_valid_patterns_only) {
  using Scope = std::vector<std::string>;
  EXPECT_TRUE(refused_by(check_key_scope, Scope{"*"}).empty());
  EXPECT_TRUE(refused_by(check_key_scope, Scope{"instances:*", "images:read"}).empty());
  EXPECT_FALSE(refused_by(check_key_scope, Scope{}).empty());
  EXPECT_FALSE(refused_by(check_key_scope, Scope{"instances:read", "everything"}).empty());
  EXPECT_FALSE(refused_by(check_key_scope, Scope(65, "images:read")).empty());
}

}  // namespace
}  // namespace berth::identity
