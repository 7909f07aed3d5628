#include "identity/principal.h"

namespace berth::identity {
namespace {

PrincipalPointer make(Principal::Kind kind, std::string actor, Role role, PermissionSet permissions) {
  auto principal = std::make_shared<Principal>();
  principal->kind = kind;
  principal->actor = actor;
  principal->username = std::move(actor);
  principal->role = role;
  principal->permissions = std::move(permissions);
  principal->expires_at = Timestamp::max();
  return principal;
}

}  // namespace

PrincipalPointer system_principal() {
  static const PrincipalPointer principal =
      make(Principal::Kind::system, "system", Role::admin, PermissionSet::of(Role::admin));
  return principal;
}

PrincipalPointer anonymous_loopback_principal() {
  static const PrincipalPointer principal =
      make(Principal::Kind::anonymous_loopback, "anonymous@loopback", Role::manager,
           PermissionSet({"instances:*", "images:*", "volumes:*", "networks:*", "registries:*", "host:*",
                          "operations:*", "metrics:*", "users:create", "servers:*", "traffic:*", "alerts:*",
                          "notifications:*", "acl:*", "rental:*"}));
  return principal;
}

bool Principal::allows(Permission permission) const {
  if (permission == permissions::kPublic) return true;
  if (permission == permissions::kSignedIn) return kind != Kind::anonymous_loopback;
  return permissions.allows(permission);
}

}  // namespace berth::identity
