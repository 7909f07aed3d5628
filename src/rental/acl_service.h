#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "audit/audit_log.h"
#include "base/clock.h"
#include "base/result.h"
#include "fleet/container_service.h"
#include "rental/access_table.h"
#include "rental/acl_links.h"
#include "store/database.h"

namespace berth::rental {

/// What one user may do with one container, or with all of them.
struct Grant {
  UserId user;
  std::optional<fleet::ContainerId> container;  ///< nothing: every container, also those made later
  std::string container_name;                   ///< as it is called now; "" for every container
  Rights rights;
  Timestamp created_at;
  Timestamp updated_at;
};

/// What a person wants a grant to be.
struct GrantWish {
  UserId user;
  std::optional<std::string> container_name;  ///< nothing: every container
  Rights rights;
};

enum class AclAction { created, updated, revoked };
std::string_view name(AclAction action);
/// The words of a set of rights, in the order of fleet::Right: "read", "write", "execute".
std::vector<std::string> words_of(Rights rights);
/// Nothing if one of them is no such word.
std::optional<Rights> parse_rights(const std::vector<std::string>& words);

/// One change of a user's grants.
struct AclLogEntry {
  AclAction action = AclAction::created;
  Timestamp at;
  std::string actor;
  std::optional<fleet::ContainerId> container;
  std::string container_name;  ///< as it was called then
  Rights before;
  Rights after;
};

struct AclLogPage {
  std::vector<AclLogEntry> entries;  ///< newest first
  std::int64_t total = 0;
};

/// The access control lists: who was granted what, each change of it, and the table that the fleet asks. A user has
/// at most one grant for every container and one for each container by name; what both allow counts. Grants stand by
/// the container's id, so they follow it through a new name, and end with it. Thread-safe; everything waits for the
/// store, so call it from worker threads.
class AclService {
 public:
  /// What it works with. Everything outlives it.
  struct Parts {
    store::Database& database;
    audit::AuditLog& audit;
    const Clock& clock;
    fleet::ContainerService& containers;
    AccessTable& table;  ///< filled by it
  };

  static Result<std::unique_ptr<AclService>> create(const Parts& parts, AclLinks links);
  ~AclService();
  AclService(const AclService&) = delete;
  AclService& operator=(const AclService&) = delete;

  // Errors of the changes: not_found "user.not_found", "container.not_found"; invalid_argument "acl.permissions" for
  // no rights at all. Each is audited, and logged for its user, in its own transaction.
  /// Errors: already_exists "acl.exists" if there is such a grant already; conflict "acl.limit" beyond 10,000.
  Result<Grant> generate(const GrantWish& wish, const audit::Origin& origin);
  /// Replaces the rights of a grant. Errors: not_found "acl.not_found".
  Result<Grant> update(const GrantWish& wish, const audit::Origin& origin);
  /// Without a container's name all grants of the user end, so that nothing is left by oversight. Yields how many
  /// ended. Errors: not_found "acl.not_found" if there was none.
  Result<std::int64_t> revoke(UserId user, const std::optional<std::string>& container_name,
                              const audit::Origin& origin);

  /// The grant for every container first, then by the containers' names; those of removed containers are left out.
  /// Errors: not_found "user.not_found".
  Result<std::vector<Grant>> list(UserId user);
  /// `limit` is 1 to 1000. Errors: not_found "user.not_found".
  Result<AclLogPage> log(UserId user, std::int64_t limit, std::int64_t offset);

  /// Links to files of grants.
  const AclLinks& links() const { return links_; }

  /// Ends the grants of containers that were removed, and reads all grants anew. Called every minute or so by a job.
  Result<void> sweep();

 private:
  struct Link;

  AclService(const Parts& parts, AclLinks links);

  Result<void> start();
  /// The container of a wish; 0 for all.
  Result<std::int64_t> container_of(const std::optional<std::string>& container_name);
  Result<void> record(store::Transaction& transaction, const audit::Origin& origin, UserId user,
                      const AclLogEntry& entry);
  Result<void> announce(store::Transaction& transaction);
  Result<void> reload();
  Result<void> end_grants_of(std::int64_t container);

  Parts parts_;
  AclLinks links_;
  const std::string node_;
  /// Held over a change and its publication, so that the table never ends with the older of two.
  std::mutex changing_;
  std::set<std::int64_t> missing_;  ///< containers that the last sweep did not find
  std::shared_ptr<Link> link_;
};

}  // namespace berth::rental
