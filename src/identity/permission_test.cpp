#include "identity/permission.h"

#include <gtest/gtest.h>

namespace berth::identity {
namespace {

TEST(Permission, role_names_are_read_back) {
  for (const Role role : {Role::admin, Role::manager, Role::user, Role::viewer}) {
    Role read = role == Role::admin ? Role::viewer : Role::admin;
    ASSERT_TRUE(parse_role(name(role), read));
    EXPECT_EQ(read, role);
  }
}

TEST(Permission, an_unknown_role_changes_nothing) {
  Role role = Role::manager;
  for (const char* text : {"", "Admin", "root", "admin "}) EXPECT_FALSE(parse_role(text, role)) << text;
  EXPECT_EQ(role, Role::manager);
}

TEST(Permission, an_admin_may_everything) {
  const auto all = PermissionSet::of(Role::admin);
  EXPECT_TRUE(all.allows(permissions::kUsersManage));
  EXPECT_TRUE(all.allows(permissions::kAuditRead));
  EXPECT_TRUE(all.allows(Permission{"area-of-tomorrow:verb"}));
}

TEST(Permission, a_manager_runs_instances_but_does_not_manage_users) {
  const auto rights = PermissionSet::of(Role::manager);
  EXPECT_TRUE(rights.allows(permissions::kInstancesDelete));
  EXPECT_TRUE(rights.allows(permissions::kInstancesSecrets));
  EXPECT_TRUE(rights.allows(permissions::kAuditRead));
  EXPECT_TRUE(rights.allows(permissions::kMetricsRead));
  EXPECT_FALSE(rights.allows(permissions::kUsersManage));
}

TEST(Permission, a_user_works_with_instances_but_not_with_images_or_metrics) {
  const auto rights = PermissionSet::of(Role::user);
  EXPECT_TRUE(rights.allows(permissions::kInstancesCreate));
  EXPECT_TRUE(rights.allows(permissions::kInstancesExec));
  EXPECT_TRUE(rights.allows(permissions::kOperationsCancel));
  EXPECT_TRUE(rights.allows(permissions::kImagesRead));
  EXPECT_FALSE(rights.allows(permissions::kImagesManage));
  EXPECT_TRUE(rights.allows(permissions::kVolumesRead));
  EXPECT_FALSE(rights.allows(permissions::kVolumesManage));
  EXPECT_TRUE(rights.allows(permissions::kNetworksRead));
  EXPECT_FALSE(rights.allows(permissions::kNetworksManage));
  EXPECT_FALSE(rights.allows(permissions::kRegistriesRead));
  EXPECT_FALSE(rights.allows(permissions::kMetricsRead));
  EXPECT_FALSE(rights.allows(permissions::kAuditRead));
  EXPECT_FALSE(rights.allows(permissions::kUsersManage));
}

TEST(Permission, a_viewer_only_reads) {
  const auto rights = PermissionSet::of(Role::viewer);
  EXPECT_TRUE(rights.allows(permissions::kInstancesRead));
  EXPECT_TRUE(rights.allows(permissions::kHostRead));
  EXPECT_TRUE(rights.allows(permissions::kVolumesRead));
  EXPECT_FALSE(rights.allows(permissions::kRegistriesRead));
  EXPECT_FALSE(rights.allows(permissions::kInstancesStart));
  EXPECT_FALSE(rights.allows(permissions::kInstancesSecrets));
  EXPECT_FALSE(rights.allows(permissions::kOperationsCancel));
}

TEST(Permission, the_empty_set_allows_nothing) {
  const PermissionSet none;
  EXPECT_FALSE(none.allows(permissions::kInstancesRead));
  EXPECT_FALSE(none.allows(permissions::kPublic));
  EXPECT_FALSE(none.allows(Permission{""}));
}

TEST(Permission, a_wildcard_covers_its_own_area_only) {
  const PermissionSet rights({"instances:*"});
  EXPECT_TRUE(rights.allows(permissions::kInstancesExec));
  EXPECT_FALSE(rights.allows(permissions::kImagesRead));
  EXPECT_FALSE(rights.allows(Permission{"instances"}));
  EXPECT_FALSE(rights.allows(Permission{"instances-other:read"}));
  EXPECT_FALSE(rights.allows(permissions::kSignedIn));
}

TEST(Permission, patterns_are_checked) {
  for (const char* good : {"*", "instances:*", "instances:read", "a-b_1:c-d_2"}) {
    EXPECT_TRUE(PermissionSet::valid_pattern(good)) << good;
  }
  for (const char* bad : {"", "**", ":", "a:", ":b", "*:*", "*:read", "a:b:c", "A:b", "a:B", "a b:c", "a:r*", "public",
                          "instances", "实例:读"}) {
    EXPECT_FALSE(PermissionSet::valid_pattern(bad)) << bad;
  }
  EXPECT_FALSE(PermissionSet::valid_pattern(std::string(70, 'a') + ":b"));
}

TEST(Permission, invalid_patterns_grant_nothing) {
  const PermissionSet rights({"*:*", "", "Instances:read", "images:read"});
  EXPECT_EQ(rights.patterns(), std::vector<std::string>{"images:read"});
}

TEST(Permission, patterns_are_kept_without_repetition) {
  EXPECT_EQ(PermissionSet({"b:x", "a:y", "a:*", "b:x"}).patterns(), (std::vector<std::string>{"a:*", "b:x"}));
  EXPECT_EQ(PermissionSet({"a:y", "*", "b:*"}).patterns(), std::vector<std::string>{"*"});
}

/// Every set over two areas and two verbs, against the meaning of an intersection.
TEST(Permission, an_intersection_allows_exactly_what_both_allow) {
  const std::vector<std::string> patterns = {"*", "a:*", "b:*", "a:x", "a:y", "b:x", "b:y"};
  const std::vector<Permission> rights = {{"a:x"}, {"a:y"}, {"b:x"}, {"b:y"}, {"a:z"}, {"c:x"}};
  std::vector<PermissionSet> sets;
  for (unsigned mask = 0; mask < (1U << patterns.size()); ++mask) {
    std::vector<std::string> chosen;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
      if ((mask >> i) & 1U) chosen.push_back(patterns[i]);
    }
    sets.emplace_back(chosen);
  }
  for (const auto& left : sets) {
    for (const auto& right : sets) {
      const auto both = left.intersect(right);
      for (const auto permission : rights) {
        ASSERT_EQ(both.allows(permission), left.allows(permission) && right.allows(permission)) << permission.name;
      }
    }
  }
}

}  // namespace
}  // namespace berth::identity
