#include "identity/permission.h"

#include <algorithm>
#include <utility>

namespace berth::identity {
namespace {

bool is_word(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

/// "area:*" of "area:verb"; "" where there is no area.
std::string wildcard_of(std::string_view right) {
  const std::size_t colon = right.find(':');
  return colon == std::string_view::npos ? std::string() : std::string(right.substr(0, colon)) + ":*";
}

bool covers(const std::vector<std::string>& sorted, std::string_view right) {
  if (std::ranges::binary_search(sorted, "*") || std::ranges::binary_search(sorted, right)) return true;
  return std::ranges::binary_search(sorted, wildcard_of(right));
}

}  // namespace

std::string_view name(Role role) {
  switch (role) {
    case Role::admin:
      return "admin";
    case Role::manager:
      return "manager";
    case Role::user:
      return "user";
    case Role::viewer:
      return "viewer";
  }
  return "viewer";
}

bool parse_role(std::string_view text, Role& role) {
  for (const Role known : {Role::admin, Role::manager, Role::user, Role::viewer}) {
    if (text != name(known)) continue;
    role = known;
    return true;
  }
  return false;
}

PermissionSet::PermissionSet(std::vector<std::string> patterns) {
  std::erase_if(patterns, [](const std::string& pattern) { return !valid_pattern(pattern); });
  std::ranges::sort(patterns);
  const auto repeated = std::ranges::unique(patterns);
  patterns.erase(repeated.begin(), repeated.end());
  everything_ = std::ranges::binary_search(patterns, "*");
  if (everything_) {
    patterns_ = {"*"};
    return;
  }
  for (const std::string& pattern : patterns) {
    const std::string wildcard = wildcard_of(pattern);
    if (pattern == wildcard || !std::ranges::binary_search(patterns, wildcard)) patterns_.push_back(pattern);
  }
}

PermissionSet PermissionSet::of(Role role) {
  switch (role) {
    case Role::admin:
      return PermissionSet({"*"});
    case Role::manager:
      return PermissionSet({"instances:*", "images:*", "volumes:*", "networks:*", "registries:*", "host:read",
                            "operations:*", "metrics:read", "audit:read", "users:create", "servers:*", "traffic:read",
                            "alerts:*", "notifications:*", "acl:*", "rental:*"});
    case Role::user:
      return PermissionSet({"instances:read", "instances:create", "instances:start", "instances:stop",
                            "instances:update", "instances:delete", "instances:exec", "instances:secrets",
                            "images:read", "volumes:read", "networks:read", "host:read", "operations:read",
                            "operations:cancel", "traffic:read", "acl:read", "rental:read"});
    case Role::viewer:
      return PermissionSet({"instances:read", "images:read", "volumes:read", "networks:read", "host:read",
                            "operations:read", "servers:read", "traffic:read", "alerts:read", "acl:read",
                            "rental:read"});
  }
  return {};
}

bool PermissionSet::allows(Permission permission) const {
  return everything_ || covers(patterns_, permission.name);
}

PermissionSet PermissionSet::intersect(const PermissionSet& other) const {
  // Of two patterns of these forms one contains the other or they share nothing, so what both sets
  // allow is exactly the patterns of each that the other covers.
  std::vector<std::string> shared;
  for (const std::string& pattern : patterns_) {
    if (covers(other.patterns_, pattern)) shared.push_back(pattern);
  }
  for (const std::string& pattern : other.patterns_) {
    if (covers(patterns_, pattern)) shared.push_back(pattern);
  }
  return PermissionSet(std::move(shared));
}

bool PermissionSet::valid_pattern(std::string_view pattern) {
  if (pattern == "*") return true;
  const std::size_t colon = pattern.find(':');
  if (colon == std::string_view::npos || pattern.size() > 64) return false;
  const std::string_view verb = pattern.substr(colon + 1);
  return is_word(pattern.substr(0, colon)) && (verb == "*" || is_word(verb));
}

}  // namespace berth::identity
