#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace berth::identity {

/// A right, "area:verb" ("instances:start"). "*" is every right; "instances:*" every verb of an
/// area. Only the constants below and what roles hold exist; routes name constants, never raw
/// strings.
struct Permission {
  std::string_view name;
  constexpr bool operator==(const Permission&) const = default;
};

namespace permissions {
/// For a route that anyone may call. Named explicitly, so that forgetting is not the same as
/// allowing.
inline constexpr Permission kPublic{"public"};
/// Any signed-in caller.
inline constexpr Permission kSignedIn{"signed-in"};

inline constexpr Permission kInstancesRead{"instances:read"};
inline constexpr Permission kInstancesCreate{"instances:create"};
inline constexpr Permission kInstancesStart{"instances:start"};
inline constexpr Permission kInstancesStop{"instances:stop"};
inline constexpr Permission kInstancesUpdate{"instances:update"};
inline constexpr Permission kInstancesDelete{"instances:delete"};
inline constexpr Permission kInstancesExec{"instances:exec"};
inline constexpr Permission kInstancesSecrets{"instances:secrets"};
inline constexpr Permission kImagesRead{"images:read"};
inline constexpr Permission kImagesManage{"images:manage"};
/// A `user` reads only what containers that it may see mention.
inline constexpr Permission kVolumesRead{"volumes:read"};
inline constexpr Permission kVolumesManage{"volumes:manage"};
inline constexpr Permission kNetworksRead{"networks:read"};
inline constexpr Permission kNetworksManage{"networks:manage"};
/// Who we are to registries of images; nobody reads a password.
inline constexpr Permission kRegistriesRead{"registries:read"};
inline constexpr Permission kRegistriesManage{"registries:manage"};
inline constexpr Permission kHostRead{"host:read"};
inline constexpr Permission kOperationsRead{"operations:read"};
inline constexpr Permission kOperationsCancel{"operations:cancel"};
inline constexpr Permission kMetricsRead{"metrics:read"};
inline constexpr Permission kUsersManage{"users:manage"};
/// Making users of the role `user`, and nothing else about users.
inline constexpr Permission kUsersCreate{"users:create"};
inline constexpr Permission kServersRead{"servers:read"};
inline constexpr Permission kServersManage{"servers:manage"};
inline constexpr Permission kTrafficRead{"traffic:read"};
inline constexpr Permission kAlertsRead{"alerts:read"};
inline constexpr Permission kAlertsManage{"alerts:manage"};
/// Where notices go, and what became of each.
inline constexpr Permission kNotificationsManage{"notifications:manage"};
/// A `user` reads only what concerns itself.
inline constexpr Permission kAclRead{"acl:read"};
inline constexpr Permission kAclManage{"acl:manage"};
inline constexpr Permission kRentalRead{"rental:read"};
inline constexpr Permission kRentalManage{"rental:manage"};
inline constexpr Permission kAuditRead{"audit:read"};
}  // namespace permissions

/// Roles of the contracts' page. `user` touches only what it owns or what an ACL grants.
enum class Role { admin, manager, user, viewer };

std::string_view name(Role role);
/// The role of a name; nothing if there is none.
bool parse_role(std::string_view text, Role& role);

/// A set of rights with wildcards; what a role, a key's scope and a principal hold.
class PermissionSet {
 public:
  PermissionSet() = default;
  /// Patterns that are not valid grant nothing and are dropped, as are those that another one
  /// contains.
  explicit PermissionSet(std::vector<std::string> patterns);
  static PermissionSet of(Role role);

  bool allows(Permission permission) const;
  /// What both allow: a key never exceeds its owner. Exact for patterns of the forms above.
  PermissionSet intersect(const PermissionSet& other) const;
  const std::vector<std::string>& patterns() const { return patterns_; }
  /// True for "*", "area:*" and "area:verb" in lower case letters, digits, '_' and '-'.
  static bool valid_pattern(std::string_view pattern);

 private:
  std::vector<std::string> patterns_;
  bool everything_ = false;
};

}  // namespace berth::identity
