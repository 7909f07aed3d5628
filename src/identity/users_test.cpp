#include <thread>
#include <vector>

#include "identity/identity_fixture.h"

namespace berth::identity {
namespace {

class UsersTest : public IdentityTest {
 protected:
  Result<User> create(const std::string& name, const std::string& email = "", const std::string& password = kPassword) {
    return service().create_user({name, email, Secret(password), Role::user}, from("192.0.2.1"));
  }
  Result<User> update(UserId id, const UserChange& change) { return service().update_user(id, change, from("")); }
};

TEST_F(UsersTest, a_new_user_is_found_by_id_name_and_address) {
  EXPECT_FALSE(must(service().has_users()));
  const User made =
      must(service().create_user({"Alice", "Alice@Example.com", Secret(kPassword), Role::manager}, from("")));
  EXPECT_TRUE(must(service().has_users()));
  EXPECT_GT(made.id.value(), 0);
  EXPECT_EQ(made.uuid.size(), 36U);
  for (const User& found : {must(service().find_user(made.id)), must(service().find_user("aLICE")),
                            must(service().find_user("alice@example.COM"))}) {
    EXPECT_EQ(found.id, made.id);
    EXPECT_EQ(found.uuid, made.uuid);
    EXPECT_EQ(found.username, "Alice");
    EXPECT_EQ(found.email, "Alice@Example.com");
    EXPECT_EQ(found.role, Role::manager);
    EXPECT_TRUE(found.enabled);
    EXPECT_EQ(found.created_at, clock().now());
    EXPECT_FALSE(found.last_login_at);
  }
}

TEST_F(UsersTest, who_does_not_exist_is_not_found) {
  EXPECT_EQ(reason_of(service().find_user(UserId(77))), "user.not_found");
  for (const std::string& login : {std::string(), std::string("nobody"), std::string("a@b"), std::string("'; --"),
                                   std::string(100'000, 'x'), std::string("\xff"), std::string("a\0b", 3)}) {
    EXPECT_EQ(reason_of(service().find_user(login)), "user.not_found");
  }
  EXPECT_EQ(reason_of(update(UserId(77), {})), "user.not_found");
  EXPECT_EQ(reason_of(service().delete_user(UserId(77), from(""))), "user.not_found");
  EXPECT_EQ(reason_of(service().logout_everywhere(UserId(77), from(""))), "user.not_found");
  EXPECT_EQ(reason_of(service().change_password(UserId(77), Secret("a"), Secret(kPassword), from(""))),
            "user.not_found");
}

TEST_F(UsersTest, names_and_addresses_are_unique_without_regard_to_case) {
  must(create("alice", "alice@example.com"));
  EXPECT_EQ(reason_of(create("ALICE", "other@example.com")), "user.username_taken");
  EXPECT_EQ(reason_of(create("bob", "Alice@EXAMPLE.com")), "user.email_taken");
  must(create("bob"));
  must(create("carol"));
  EXPECT_EQ(count("SELECT count(*) AS n FROM users"), 3) << "an absent address is like no other";
}

TEST_F(UsersTest, of_many_who_ask_for_a_name_at_once_one_gets_it) {
  std::atomic<int> made{0};
  std::atomic<int> taken{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&, i] {
        const auto result = create(i % 2 == 0 ? "alice" : "ALICE");
        if (result) ++made;
        if (reason_of(result) == "user.username_taken") ++taken;
      });
    }
  }
  EXPECT_EQ(made, 1);
  EXPECT_EQ(taken, 7);
}

TEST_F(UsersTest, all_bad_fields_are_named_at_once) {
  const auto refused = create("not valid", "nor this", "short");
  EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(fields_of(refused), "username email password");
  EXPECT_EQ(fields_of(create("用户")), "username");
  EXPECT_EQ(fields_of(create(std::string(1'000'000, 'x'))), "username");
  EXPECT_EQ(fields_of(create("alice-smith", "", "Alice-Smith")), "password");
  EXPECT_FALSE(must(service().has_users()));
}

TEST_F(UsersTest, a_change_touches_only_what_it_names) {
  const User alice = make_user("alice");
  pass(std::chrono::seconds(5));
  const User changed = must(update(alice.id, {.email = "new@example.com"}));
  EXPECT_EQ(changed.email, "new@example.com");
  EXPECT_EQ(changed.role, alice.role);
  EXPECT_EQ(changed.updated_at, clock().now());
  EXPECT_EQ(must(service().find_user("new@example.com")).id, alice.id);
  EXPECT_EQ(reason_of(service().find_user("alice@example.com")), "user.not_found");
  EXPECT_TRUE(try_login("alice"));
  EXPECT_EQ(must(update(alice.id, {.email = ""})).email, "");
  EXPECT_TRUE(update(alice.id, {.email = ""}));
}

TEST_F(UsersTest, a_changed_address_must_be_free_and_valid) {
  const User alice = make_user("alice");
  make_user("bob");
  EXPECT_EQ(reason_of(update(alice.id, {.email = "BOB@example.com"})), "user.email_taken");
  EXPECT_EQ(fields_of(update(alice.id, {.email = "no address"})), "email");
  EXPECT_EQ(fields_of(update(alice.id, {.password = Secret("alice")})), "password");
  EXPECT_TRUE(update(alice.id, {.email = "ALICE@example.com"})) << "one's own address in another case";
}

TEST_F(UsersTest, a_changed_role_counts_at_once) {
  const User alice = make_user("alice");
  const Tokens tokens = login("alice");
  EXPECT_FALSE(must(service().authenticate(tokens.access_token))->allows(permissions::kUsersManage));
  const auto epoch = service().epoch();
  must(update(alice.id, {.role = Role::admin}));
  EXPECT_NE(service().epoch(), epoch);
  EXPECT_TRUE(must(service().authenticate(tokens.access_token))->allows(permissions::kUsersManage));
  must(service().create_user({"root", "", Secret(kPassword), Role::admin}, from("")));
  must(update(alice.id, {.role = Role::viewer}));
  const auto principal = must(service().authenticate(tokens.access_token));
  EXPECT_FALSE(principal->allows(permissions::kInstancesStart));
  EXPECT_EQ(principal->role, Role::viewer);
}

TEST_F(UsersTest, a_disabled_user_is_out_at_once_and_stays_out) {
  const User alice = make_user("alice");
  const Tokens tokens = login("alice");
  const auto key = must(service().create_key(alice.id, {.name = "k"}, from("")));
  const auto epoch = service().epoch();
  must(update(alice.id, {.enabled = false}));
  EXPECT_NE(service().epoch(), epoch);
  EXPECT_EQ(asked(tokens.access_token), "auth.revoked");
  EXPECT_EQ(asked(key.secret.reveal()), "auth.revoked");
  EXPECT_EQ(reason_of(service().refresh(tokens.refresh_token, from(""))), "auth.revoked");
  EXPECT_EQ(reason_of(service().renew(*tokens.principal, from(""))), "auth.revoked");
  EXPECT_EQ(reason_of(try_login("alice")), "auth.bad_credentials");

  must(update(alice.id, {.enabled = true}));
  EXPECT_EQ(asked(tokens.access_token), "auth.revoked") << "the sessions have ended for good";
  EXPECT_EQ(asked(key.secret.reveal()), "ok");
  EXPECT_TRUE(try_login("alice"));
}

TEST_F(UsersTest, a_password_that_was_set_ends_all_sessions) {
  const User alice = make_user("alice");
  const Tokens tokens = login("alice");
  must(update(alice.id, {.password = Secret("another password")}));
  EXPECT_EQ(asked(tokens.access_token), "auth.revoked");
  EXPECT_EQ(reason_of(try_login("alice")), "auth.bad_credentials");
  EXPECT_TRUE(try_login("alice", "another password"));
}

TEST_F(UsersTest, changing_the_password_needs_the_old_one_and_ends_all_sessions) {
  const User alice = make_user("alice");
  const Tokens tokens = login("alice");
  const auto change = [&](const std::string& old_password, const std::string& new_password) {
    return reason_of(
        service().change_password(alice.id, Secret(old_password), Secret(new_password), from("192.0.2.1")));
  };
  EXPECT_EQ(change("wrong", "another password"), "auth.bad_credentials");
  EXPECT_EQ(change(kPassword, "short"), "identity.invalid");
  EXPECT_EQ(asked(tokens.access_token), "ok");
  EXPECT_EQ(change(kPassword, "another password"), "ok");
  EXPECT_EQ(asked(tokens.access_token), "auth.revoked");
  EXPECT_EQ(reason_of(service().refresh(tokens.refresh_token, from(""))), "auth.revoked");
  EXPECT_TRUE(try_login("alice", "another password"));
  EXPECT_EQ(audited("user.password"), 1);
  EXPECT_EQ(audited("user.password", audit::Outcome::failure), 1);
}

TEST_F(UsersTest, guessing_the_old_password_is_throttled_like_a_login) {
  const User alice = make_user("alice");
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(reason_of(service().change_password(alice.id, Secret("wrong"), Secret("another password"), from(""))),
              "auth.bad_credentials");
  }
  EXPECT_EQ(reason_of(service().change_password(alice.id, Secret(kPassword), Secret("another password"), from(""))),
            "auth.throttled");
  EXPECT_EQ(reason_of(try_login("alice")), "auth.throttled") << "one count for both";
}

TEST_F(UsersTest, the_last_enabled_administrator_stays) {
  const User root = make_user("root", Role::admin);
  make_user("alice", Role::manager);
  EXPECT_EQ(reason_of(update(root.id, {.role = Role::manager})), "user.last_admin");
  EXPECT_EQ(reason_of(update(root.id, {.enabled = false})), "user.last_admin");
  EXPECT_EQ(reason_of(service().delete_user(root.id, from(""))), "user.last_admin");
  EXPECT_TRUE(update(root.id, {.role = Role::admin, .enabled = true}));

  const User second = make_user("second", Role::admin);
  must(update(second.id, {.enabled = false}));
  EXPECT_EQ(reason_of(service().delete_user(root.id, from(""))), "user.last_admin")
      << "a disabled administrator is none";
  must(update(second.id, {.enabled = true}));
  must(service().delete_user(root.id, from("")));
  EXPECT_EQ(reason_of(service().delete_user(second.id, from(""))), "user.last_admin");
}

TEST_F(UsersTest, administrators_who_demote_each_other_at_once_leave_one) {
  for (int round = 0; round < 5; ++round) {
    const User a = make_user(fmt::format("a{}", round), Role::admin);
    const User b = make_user(fmt::format("b{}", round), Role::admin);
    {
      std::jthread first([&] { (void)update(a.id, {.role = Role::user}); });
      std::jthread second([&] { (void)service().delete_user(b.id, from("")); });
    }
    ASSERT_EQ(count("SELECT count(*) AS n FROM users WHERE role = 'admin' AND enabled = 1"), 1);
    must(database().write([&](store::Transaction& transaction) -> Result<void> {
      BERTH_CHECK(transaction.execute("DELETE FROM users"));
      return {};
    }));
  }
}

TEST_F(UsersTest, a_deleted_user_leaves_nothing_that_works) {
  const User alice = make_user("alice");
  const Tokens tokens = login("alice");
  const auto key = must(service().create_key(alice.id, {.name = "k"}, from("")));
  must(service().delete_user(alice.id, from("")));
  EXPECT_EQ(asked(tokens.access_token), "auth.revoked");
  EXPECT_EQ(asked(key.secret.reveal()), "auth.invalid");
  EXPECT_EQ(reason_of(service().refresh(tokens.refresh_token, from(""))), "auth.invalid");
  EXPECT_EQ(reason_of(service().renew(*tokens.principal, from(""))), "auth.revoked");
  EXPECT_EQ(reason_of(try_login("alice")), "auth.bad_credentials");
  EXPECT_EQ(reason_of(service().list_keys(alice.id)), "user.not_found");
  const User again = make_user("alice");
  EXPECT_NE(again.uuid, alice.uuid);
  EXPECT_EQ(asked(tokens.access_token), "auth.revoked") << "the name is free again, the old token is not";
}

TEST_F(UsersTest, a_list_is_searched_and_paged) {
  for (const char* name : {"carol", "Alice", "bob", "under_score", "percent"}) make_user(name);
  const auto names = [&](std::string_view search, std::int64_t limit, std::int64_t offset) {
    std::string text;
    for (const auto& user : must(service().list_users(search, limit, offset)).users) text += user.username + " ";
    return text;
  };
  EXPECT_EQ(names("", 10, 0), "Alice bob carol percent under_score ");
  EXPECT_EQ(names("", 2, 1), "bob carol ");
  EXPECT_EQ(must(service().list_users("", 2, 1)).total, 5);
  EXPECT_EQ(names("", 2, 99), "");
  EXPECT_EQ(names("LIC", 10, 0), "Alice ");
  EXPECT_EQ(names("bob@EXAMPLE", 10, 0), "bob ");
  EXPECT_EQ(names("_", 10, 0), "under_score ");
  EXPECT_EQ(names("%", 10, 0), "");
  EXPECT_EQ(names("!", 10, 0), "");
  EXPECT_EQ(names("用户", 10, 0), "");
}

TEST_F(UsersTest, a_page_has_limits) {
  EXPECT_FALSE(service().list_users("", 0, 0));
  EXPECT_FALSE(service().list_users("", 1001, 0));
  EXPECT_FALSE(service().list_users("", 10, -1));
  EXPECT_FALSE(service().list_users(std::string(300, 'x'), 10, 0));
  EXPECT_EQ(reason_of(service().list_users("\xff", 10, 0)), "identity.invalid");
}

TEST_F(UsersTest, every_change_is_audited_without_the_password) {
  const User alice = make_user("alice");
  must(update(alice.id, {.password = Secret("very secret new password"), .role = Role::viewer}));
  must(service().logout_everywhere(alice.id, from("")));
  must(service().delete_user(alice.id, from("")));
  for (const char* action : {"user.create", "user.update", "auth.logout_everywhere", "user.delete"}) {
    EXPECT_EQ(audited(action), 1) << action;
  }
  for (const auto& record : must(audit().list({})).records) {
    EXPECT_EQ(record.entry.resource_id, alice.uuid);
    EXPECT_EQ(record.entry.details.find("secret"), std::string::npos) << record.entry.details;
    EXPECT_EQ(record.entry.details.find(kPassword), std::string::npos);
  }
}

}  // namespace
}  // namespace berth::identity
