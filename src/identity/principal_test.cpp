#include "identity/principal.h"

#include <gtest/gtest.h>

namespace berth::identity {
namespace {

TEST(Principal, the_system_may_everything_and_does_not_expire) {
  const auto principal = system_principal();
  EXPECT_TRUE(principal->allows(permissions::kUsersManage));
  EXPECT_TRUE(principal->allows(permissions::kSignedIn));
  EXPECT_EQ(principal->actor, "system");
  EXPECT_EQ(principal->expires_at, Timestamp::max());
}

TEST(Principal, anonymous_loopback_works_with_instances_but_not_with_users_keys_or_audit) {
  const auto principal = anonymous_loopback_principal();
  for (const auto permission :
       {permissions::kInstancesRead, permissions::kInstancesCreate, permissions::kInstancesDelete,
        permissions::kInstancesSecrets, permissions::kImagesManage, permissions::kHostRead,
        permissions::kOperationsCancel, permissions::kMetricsRead, permissions::kPublic}) {
    EXPECT_TRUE(principal->allows(permission)) << permission.name;
  }
  EXPECT_FALSE(principal->allows(permissions::kUsersManage));
  EXPECT_FALSE(principal->allows(permissions::kAuditRead));
  EXPECT_FALSE(principal->allows(permissions::kSignedIn)) << "keys belong to who is signed in";
  EXPECT_FALSE(principal->owned_only());
  EXPECT_EQ(principal->user_id.value(), 0);
}

TEST(Principal, only_the_role_user_is_kept_to_what_it_owns) {
  Principal principal;
  principal.role = Role::user;
  EXPECT_TRUE(principal.owned_only());
  principal.role = Role::viewer;
  EXPECT_FALSE(principal.owned_only());
}

TEST(Principal, a_key_with_an_empty_scope_is_still_signed_in) {
  Principal principal;
  principal.kind = Principal::Kind::api_key;
  EXPECT_TRUE(principal.allows(permissions::kSignedIn));
  EXPECT_FALSE(principal.allows(permissions::kInstancesRead));
}

}  // namespace
}  // namespace berth::identity
