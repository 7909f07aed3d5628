#include "identity/identity_fixture.h"

namespace berth::identity {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

class ApiKeysTest : public IdentityTest {
 protected:
  ApiKeysTest() { alice_ = make_user("alice"); }
  Result<IssuedApiKey> create(const NewApiKey& key) { return service().create_key(alice_.id, key, from("192.0.2.1")); }
  User alice_;
};

TEST_F(ApiKeysTest, a_key_acts_for_its_owner) {
  const auto issued = must(create({.name = "deploy"}));
  EXPECT_TRUE(issued.secret.reveal().starts_with(issued.key.prefix + "_"));
  EXPECT_TRUE(issued.key.prefix.starts_with("berth_"));
  const auto principal = must(service().authenticate(issued.secret.reveal()));
  EXPECT_EQ(principal->kind, Principal::Kind::api_key);
  EXPECT_EQ(principal->user_id, alice_.id);
  EXPECT_EQ(principal->user_uuid, alice_.uuid);
  EXPECT_EQ(principal->actor, "api-key:deploy");
  EXPECT_EQ(principal->username, "alice");
  EXPECT_EQ(principal->session_id, "");
  EXPECT_EQ(principal->expires_at, Timestamp::max());
  EXPECT_EQ(principal->permissions.patterns(), PermissionSet::of(Role::user).patterns());
}

TEST_F(ApiKeysTest, a_scope_narrows_the_owners_rights) {
  const auto issued = must(create({.name = "reader", .scope = {"instances:read", "host:*"}}));
  EXPECT_EQ(issued.key.scope, (std::vector<std::string>{"host:read", "instances:read"}));
  const auto principal = must(service().authenticate(issued.secret.reveal()));
  EXPECT_TRUE(principal->allows(permissions::kInstancesRead));
  EXPECT_TRUE(principal->allows(permissions::kHostRead));
  EXPECT_FALSE(principal->allows(permissions::kInstancesStart));
}

TEST_F(ApiKeysTest, a_key_never_exceeds_its_owner_whatever_the_owner_becomes) {
  const User root = must(service().create_user({"root", "", Secret(kPassword), Role::admin}, from("")));
  const auto issued = must(service().create_key(root.id, {.name = "all", .scope = {"*"}}, from("")));
  must(service().create_user({"other", "", Secret(kPassword), Role::admin}, from("")));
  EXPECT_TRUE(must(service().authenticate(issued.secret.reveal()))->allows(permissions::kUsersManage));
  const auto epoch = service().epoch();
  must(service().update_user(root.id, {.role = Role::viewer}, from("")));
  EXPECT_NE(service().epoch(), epoch);
  const auto principal = must(service().authenticate(issued.secret.reveal()));
  EXPECT_EQ(principal->permissions.patterns(), PermissionSet::of(Role::viewer).patterns());
  EXPECT_EQ(must(service().list_keys(root.id)).front().scope, PermissionSet::of(Role::viewer).patterns());
}

TEST_F(ApiKeysTest, a_scope_that_grants_nothing_is_refused) {
  EXPECT_EQ(fields_of(create({.name = "k", .scope = {"users:manage"}})), "scope");
  EXPECT_EQ(fields_of(create({.name = "k", .scope = {"instances:read", "audit:read"}})), "scope");
  EXPECT_EQ(fields_of(create({.name = "k", .scope = {}})), "scope");
  EXPECT_EQ(fields_of(create({.name = "k", .scope = {"everything"}})), "scope");
}

TEST_F(ApiKeysTest, an_expired_key_is_out) {
  const auto issued = must(create({.name = "short", .expires_at = clock().now() + minutes(5)}));
  EXPECT_EQ(must(service().authenticate(issued.secret.reveal()))->expires_at, clock().now() + minutes(5));
  pass(minutes(5) - std::chrono::microseconds(1));
  EXPECT_EQ(asked(issued.secret.reveal()), "ok");
  pass(std::chrono::microseconds(1));
  EXPECT_EQ(asked(issued.secret.reveal()), "auth.expired");
}

TEST_F(ApiKeysTest, all_bad_fields_are_named_at_once) {
  EXPECT_EQ(fields_of(create({.name = "", .scope = {"?"}, .expires_at = clock().now()})), "name scope expires_at");
  EXPECT_EQ(reason_of(service().create_key(UserId(77), {.name = "k"}, from(""))), "user.not_found");
}

TEST_F(ApiKeysTest, a_name_is_unique_per_owner) {
  const User bob = make_user("bob");
  must(create({.name = "部署 \"机器\""}));
  EXPECT_EQ(reason_of(create({.name = "部署 \"机器\""})), "api_key.name_taken");
  EXPECT_TRUE(service().create_key(bob.id, {.name = "部署 \"机器\""}, from("")));
}

TEST_F(ApiKeysTest, there_is_a_limit) {
  for (int i = 0; i < 100; ++i) must(create({.name = fmt::format("k{}", i)}));
  EXPECT_EQ(reason_of(create({.name = "one more"})), "api_key.limit");
}

TEST_F(ApiKeysTest, a_deleted_key_is_out_at_once) {
  const auto issued = must(create({.name = "k"}));
  const auto other = must(create({.name = "other"}));
  EXPECT_EQ(asked(issued.secret.reveal()), "ok");
  const auto epoch = service().epoch();
  must(service().delete_key(alice_.id, issued.key.id, from("")));
  EXPECT_NE(service().epoch(), epoch);
  EXPECT_EQ(asked(issued.secret.reveal()), "auth.invalid");
  EXPECT_EQ(asked(other.secret.reveal()), "ok");
  EXPECT_EQ(reason_of(service().delete_key(alice_.id, issued.key.id, from(""))), "api_key.not_found");
}

TEST_F(ApiKeysTest, somebody_elses_key_does_not_exist) {
  const User bob = make_user("bob");
  const auto issued = must(create({.name = "k"}));
  EXPECT_EQ(reason_of(service().delete_key(bob.id, issued.key.id, from(""))), "api_key.not_found");
  EXPECT_TRUE(must(service().list_keys(bob.id)).empty());
  EXPECT_EQ(asked(issued.secret.reveal()), "ok");
}

TEST_F(ApiKeysTest, no_part_or_variant_of_a_key_works) {
  const auto issued = must(create({.name = "k"}));
  const std::string key(issued.secret.reveal());
  for (const std::string& text : {key.substr(0, key.size() - 1), key + "0", issued.key.prefix, " " + key}) {
    EXPECT_EQ(asked(text), "auth.invalid");
  }
  EXPECT_EQ(count("SELECT count(*) AS n FROM api_keys WHERE hash LIKE '%berth%' OR prefix LIKE "
                  "'%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%'"),
            0)
      << "the key itself is not stored";
}

TEST_F(ApiKeysTest, use_is_noted_by_the_sweep_at_most_once_a_minute) {
  const auto issued = must(create({.name = "k"}));
  const auto last_used = [&] { return must(service().list_keys(alice_.id)).front().last_used_at; };
  must(service().sweep());
  EXPECT_FALSE(last_used());
  EXPECT_EQ(asked(issued.secret.reveal()), "ok");
  const Timestamp first = clock().now();
  EXPECT_FALSE(last_used()) << "asking writes nothing";
  must(service().sweep());
  EXPECT_EQ(last_used(), first);
  pass(seconds(30));
  EXPECT_EQ(asked(issued.secret.reveal()), "ok");
  must(service().sweep());
  EXPECT_EQ(last_used(), first);
  pass(seconds(30));
  EXPECT_EQ(asked(issued.secret.reveal()), "ok");
  must(service().sweep());
  EXPECT_EQ(last_used(), first + seconds(60));
}

TEST_F(ApiKeysTest, keys_survive_a_restart) {
  const auto issued = must(create({.name = "k", .scope = {"instances:*"}, .expires_at = clock().now() + minutes(5)}));
  restart();
  const auto principal = must(service().authenticate(issued.secret.reveal()));
  EXPECT_EQ(principal->expires_at, clock().now() + minutes(5));
  EXPECT_FALSE(principal->allows(permissions::kImagesRead));
  const auto listed = must(service().list_keys(alice_.id));
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].id, issued.key.id);
  EXPECT_EQ(listed[0].prefix, issued.key.prefix);
  EXPECT_EQ(listed[0].scope, issued.key.scope);
  EXPECT_EQ(listed[0].created_at, issued.key.created_at);
}

TEST_F(ApiKeysTest, making_and_deleting_is_audited_without_the_key) {
  const auto issued = must(create({.name = "k\"ey"}));
  must(service().delete_key(alice_.id, issued.key.id, from("")));
  EXPECT_EQ(audited("api_key.create"), 1);
  EXPECT_EQ(audited("api_key.delete"), 1);
  for (const auto& record : must(audit().list({})).records) {
    EXPECT_EQ(record.entry.details.find(std::string(issued.secret.reveal())), std::string::npos);
  }
}

}  // namespace
}  // namespace berth::identity
