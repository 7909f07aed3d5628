#include "rental/acl_service.h"

#include <algorithm>
#include <boost/describe/class.hpp>
#include <map>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "json/write.h"
#include "rental/known_user.h"

namespace berth::rental {
namespace {

constexpr std::string_view kChannel = "acl";
constexpr std::int64_t kEverywhere = 0;
constexpr std::int64_t kMostGrants = 10'000;

struct ChangeDetails {
  std::int64_t user_id = 0;
  std::string container;
  std::vector<std::string> before;
  std::vector<std::string> after;
};
BOOST_DESCRIBE_STRUCT(ChangeDetails, (), (user_id, container, before, after))

struct StoredGrant {
  std::int64_t id = 0;
  std::int64_t container = kEverywhere;
  Rights rights;
  Timestamp created_at;
  Timestamp updated_at;
};

StoredGrant grant_of(const store::Row& row) {
  return {row.integer("id"), row.integer("container_id"), Rights::of_bits(row.integer("rights")),
          row.time("created_at"), row.time("updated_at")};
}

Result<std::optional<StoredGrant>> find_grant(store::Transaction& transaction, UserId user, std::int64_t container) {
  const auto rows =
      BERTH_TRY(transaction.query("SELECT * FROM acl_grants WHERE user_id = :user AND container_id = :container",
                                  {{"user", user}, {"container", container}}));
  if (rows.empty()) return std::optional<StoredGrant>();
  return std::optional(grant_of(rows.front()));
}

Result<std::vector<StoredGrant>> grants_of(store::Transaction& transaction, UserId user) {
  const auto rows = BERTH_TRY(
      transaction.query("SELECT * FROM acl_grants WHERE user_id = :user ORDER BY container_id", {{"user", user}}));
  std::vector<StoredGrant> grants;
  grants.reserve(rows.size());
  for (const auto& row : rows) grants.push_back(grant_of(row));
  return grants;
}

void add_to(UserRights& rights, std::int64_t container, Rights granted) {
  if (container == kEverywhere) {
    rights.everywhere.add(granted);
  } else {
    rights.containers[fleet::ContainerId(container)].add(granted);
  }
}

Result<UserRights> rights_of(store::Transaction& transaction, UserId user) {
  UserRights rights;
  for (const auto& grant : BERTH_TRY(grants_of(transaction, user))) add_to(rights, grant.container, grant.rights);
  return rights;
}

std::optional<fleet::ContainerId> container_id(std::int64_t stored) {
  return stored == kEverywhere ? std::nullopt : std::optional(fleet::ContainerId(stored));
}

fleet::Caller system_caller() {
  return {.user = UserId(),
          .sees_all = true,
          .host_paths = false,
          .origin = {UserId(), "system", "", "system", RequestId()}};
}

Error no_rights() {
  const Text message{"至少需要一个权限", "At least one permission is needed"};
  return Error(ErrorCode::invalid_argument, "acl.permissions", message).with_field("permissions", message);
}

Error no_such_grant() {
  return {ErrorCode::not_found, "acl.not_found", {"ACL 不存在", "ACL not found"}};
}

Result<void> require_rights(const GrantWish& wish) {
  if (wish.rights.empty()) return no_rights();
  return {};
}

std::optional<AclAction> parse_action(std::string_view text) {
  for (const AclAction action : {AclAction::created, AclAction::updated, AclAction::revoked}) {
    if (text == name(action)) return action;
  }
  return std::nullopt;
}

}  // namespace

std::string_view name(AclAction action) {
  switch (action) {
    case AclAction::created:
      return "created";
    case AclAction::updated:
      return "updated";
    case AclAction::revoked:
      return "revoked";
  }
  return "updated";
}

std::vector<std::string> words_of(Rights rights) {
  std::vector<std::string> words;
  if (rights.has(fleet::Right::read)) words.emplace_back("read");
  if (rights.has(fleet::Right::write)) words.emplace_back("write");
  if (rights.has(fleet::Right::execute)) words.emplace_back("execute");
  return words;
}

std::optional<Rights> parse_rights(const std::vector<std::string>& words) {
  Rights rights;
  for (const std::string& word : words) {
    if (word == "read") {
      rights.add(fleet::Right::read);
    } else if (word == "write") {
      rights.add(fleet::Right::write);
    } else if (word == "execute") {
      rights.add(fleet::Right::execute);
    } else {
      return std::nullopt;
    }
  }
  return rights;
}

/// What the store's listener may still hold when the service is gone.
struct AclService::Link {
  std::mutex mutex;
  AclService* service = nullptr;
};

AclService::AclService(const Parts& parts, AclLinks links)
    : parts_(parts), links_(std::move(links)), node_(to_hex(random_bytes(8))), link_(std::make_shared<Link>()) {
  link_->service = this;
}

AclService::~AclService() {
  const std::lock_guard lock(link_->mutex);
  link_->service = nullptr;
}

Result<std::unique_ptr<AclService>> AclService::create(const Parts& parts, AclLinks links) {
  std::unique_ptr<AclService> service(new AclService(parts, std::move(links)));
  BERTH_CHECK(service->start());
  return service;
}

Result<void> AclService::start() {
  // Listening begins before the first reading: what changes in between is read twice rather than never.
  parts_.database.listen([link = link_, node = node_](std::string_view channel, std::string_view payload) {
    if (channel != store::Database::kMissedChannel && (channel != kChannel || payload == node)) return;
    const std::lock_guard lock(link->mutex);
    if (link->service == nullptr) return;
    if (const auto read = link->service->reload(); !read) {
      log::warning("rental", "grants not read anew: {}", read.error().describe());
    }
  });
  return reload();
}

Result<std::int64_t> AclService::container_of(const std::optional<std::string>& container_name) {
  if (!container_name) return kEverywhere;
  return BERTH_TRY(parts_.containers.find(system_caller(), *container_name, fleet::Right::read))->id.value();
}

Result<void> AclService::record(store::Transaction& transaction, const audit::Origin& origin, UserId user,
                                const AclLogEntry& entry) {
  BERTH_CHECK(transaction.insert(
      "INSERT INTO acl_log (user_id, container_id, container_name, action, at, actor, rights_before, rights_after) "
      "VALUES (:user, :container, :name, :action, :at, :actor, :before, :after)",
      {{"user", user},
       {"container", entry.container ? entry.container->value() : kEverywhere},
       {"name", entry.container_name},
       {"action", name(entry.action)},
       {"at", entry.at},
       {"actor", entry.actor},
       {"before", entry.before.bits()},
       {"after", entry.after.bits()}}));
  const std::string_view verb = entry.action == AclAction::created   ? "acl.generate"
                                : entry.action == AclAction::updated ? "acl.update"
                                                                     : "acl.revoke";
  BERTH_CHECK(
      parts_.audit.append(transaction, origin,
                          {.action = std::string(verb),
                           .resource_type = "acl",
                           .resource_id = std::to_string(user.value()),
                           .details = json::to_json(ChangeDetails{user.value(), entry.container_name,
                                                                  words_of(entry.before), words_of(entry.after)})}));
  return announce(transaction);
}

Result<void> AclService::announce(store::Transaction& transaction) {
  return parts_.database.notify(transaction, kChannel, node_);
}

Result<Grant> AclService::generate(const GrantWish& wish, const audit::Origin& origin) {
  BERTH_CHECK(require_rights(wish));
  const std::int64_t container = BERTH_TRY(container_of(wish.container_name));
  const std::string called = wish.container_name.value_or("");
  const Timestamp now = parts_.clock.now();
  const std::lock_guard changing(changing_);
  auto rights = BERTH_TRY(parts_.database.write([&](store::Transaction& transaction) -> Result<UserRights> {
    BERTH_CHECK(require_user(transaction, wish.user));
    const auto present = BERTH_TRY(grants_of(transaction, wish.user));
    if (std::ranges::find(present, container, &StoredGrant::container) != present.end()) {
      return Error(ErrorCode::already_exists, "acl.exists",
                   {"ACL 已存在，请使用更新", "The ACL already exists; update it instead"});
    }
    if (static_cast<std::int64_t>(present.size()) >= kMostGrants) {
      return Error(ErrorCode::conflict, "acl.limit",
                   {"每个用户最多 10000 条 ACL", "A user has at most 10,000 ACL entries"});
    }
    BERTH_CHECK(transaction.insert(
        "INSERT INTO acl_grants (user_id, container_id, rights, created_at, updated_at) "
        "VALUES (:user, :container, :rights, :now, :again)",
        {{"user", wish.user}, {"container", container}, {"rights", wish.rights.bits()}, {"now", now}, {"again", now}}));
    BERTH_CHECK(record(transaction, origin, wish.user,
                       {AclAction::created, now, origin.actor, container_id(container), called, {}, wish.rights}));
    return rights_of(transaction, wish.user);
  }));
  parts_.table.replace_user(wish.user, std::move(rights));
  return Grant{wish.user, container_id(container), called, wish.rights, now, now};
}

Result<Grant> AclService::update(const GrantWish& wish, const audit::Origin& origin) {
  BERTH_CHECK(require_rights(wish));
  const std::int64_t container = BERTH_TRY(container_of(wish.container_name));
  const std::string called = wish.container_name.value_or("");
  const Timestamp now = parts_.clock.now();
  const std::lock_guard changing(changing_);
  Timestamp created = now;
  auto rights = BERTH_TRY(parts_.database.write([&](store::Transaction& transaction) -> Result<UserRights> {
    BERTH_CHECK(require_user(transaction, wish.user));
    const auto present = BERTH_TRY(find_grant(transaction, wish.user, container));
    if (!present) return no_such_grant();
    created = present->created_at;
    if (present->rights != wish.rights) {
      BERTH_CHECK(transaction.execute("UPDATE acl_grants SET rights = :rights, updated_at = :now WHERE id = :id",
                                      {{"rights", wish.rights.bits()}, {"now", now}, {"id", present->id}}));
      BERTH_CHECK(record(
          transaction, origin, wish.user,
          {AclAction::updated, now, origin.actor, container_id(container), called, present->rights, wish.rights}));
    }
    return rights_of(transaction, wish.user);
  }));
  parts_.table.replace_user(wish.user, std::move(rights));
  return Grant{wish.user, container_id(container), called, wish.rights, created, now};
}

Result<std::int64_t> AclService::revoke(UserId user, const std::optional<std::string>& container_name,
                                        const audit::Origin& origin) {
  const std::int64_t container = BERTH_TRY(container_of(container_name));
  // Asked before the transaction begins, in which nothing else may be waited for.
  std::map<std::int64_t, std::string> names{{container, container_name.value_or("")}};
  if (!container_name) {
    for (const auto& grant : BERTH_TRY(list(user))) {
      if (grant.container) names.emplace(grant.container->value(), grant.container_name);
    }
  }
  const Timestamp now = parts_.clock.now();
  const std::lock_guard changing(changing_);
  std::int64_t ended = 0;
  auto rights = BERTH_TRY(parts_.database.write([&](store::Transaction& transaction) -> Result<UserRights> {
    ended = 0;
    BERTH_CHECK(require_user(transaction, user));
    for (const auto& grant : BERTH_TRY(grants_of(transaction, user))) {
      if (container_name && grant.container != container) continue;
      BERTH_CHECK(transaction.execute("DELETE FROM acl_grants WHERE id = :id", {{"id", grant.id}}));
      BERTH_CHECK(record(transaction, origin, user,
                         {AclAction::revoked,
                          now,
                          origin.actor,
                          container_id(grant.container),
                          names[grant.container],
                          grant.rights,
                          {}}));
      ++ended;
    }
    if (ended == 0) return no_such_grant();
    return rights_of(transaction, user);
  }));
  parts_.table.replace_user(user, std::move(rights));
  return ended;
}

Result<std::vector<Grant>> AclService::list(UserId user) {
  const auto stored =
      BERTH_TRY(parts_.database.read([&](store::Transaction& transaction) -> Result<std::vector<StoredGrant>> {
        BERTH_CHECK(require_user(transaction, user));
        return grants_of(transaction, user);
      }));
  std::vector<Grant> grants;
  for (const auto& grant : stored) {
    std::string called;
    if (grant.container != kEverywhere) {
      const auto found = parts_.containers.find(fleet::ContainerId(grant.container));
      if (!found) continue;
      called = (*found)->name;
    }
    grants.push_back(
        {user, container_id(grant.container), std::move(called), grant.rights, grant.created_at, grant.updated_at});
  }
  // The name of the grant for every container is "", so it comes first.
  std::ranges::sort(grants, {}, &Grant::container_name);
  return grants;
}

Result<AclLogPage> AclService::log(UserId user, std::int64_t limit, std::int64_t offset) {
  return parts_.database.read([&](store::Transaction& transaction) -> Result<AclLogPage> {
    AclLogPage page;
    page.total =
        BERTH_TRY(transaction.query("SELECT count(*) AS n FROM acl_log WHERE user_id = :user", {{"user", user}}))
            .front()
            .integer("n");
    // Somebody who is gone still has a log.
    if (page.total == 0) BERTH_CHECK(require_user(transaction, user));
    const auto rows = BERTH_TRY(
        transaction.query("SELECT * FROM acl_log WHERE user_id = :user ORDER BY id DESC LIMIT :limit OFFSET :offset",
                          {{"user", user}, {"limit", std::clamp<std::int64_t>(limit, 1, 1000)}, {"offset", offset}}));
    for (const auto& row : rows) {
      page.entries.push_back({parse_action(row.text("action")).value_or(AclAction::updated), row.time("at"),
                              row.text("actor"), container_id(row.integer("container_id")), row.text("container_name"),
                              Rights::of_bits(row.integer("rights_before")),
                              Rights::of_bits(row.integer("rights_after"))});
    }
    return page;
  });
}

Result<void> AclService::reload() {
  const std::lock_guard changing(changing_);
  auto all = BERTH_TRY(parts_.database.read([](store::Transaction& transaction) -> Result<AccessTable::Users> {
    const auto rows = BERTH_TRY(transaction.query("SELECT user_id, container_id, rights FROM acl_grants"));
    std::unordered_map<UserId, UserRights> users;
    for (const auto& row : rows) {
      add_to(users[UserId(row.integer("user_id"))], row.integer("container_id"),
             Rights::of_bits(row.integer("rights")));
    }
    AccessTable::Users shared;
    for (auto& [user, rights] : users) shared[user] = std::make_shared<const UserRights>(std::move(rights));
    return shared;
  }));
  parts_.table.replace_all(std::move(all));
  return {};
}

Result<void> AclService::sweep() {
  const auto granted =
      BERTH_TRY(parts_.database.read([](store::Transaction& transaction) -> Result<std::vector<std::int64_t>> {
        const auto rows =
            BERTH_TRY(transaction.query("SELECT DISTINCT container_id FROM acl_grants WHERE container_id <> 0"));
        std::vector<std::int64_t> ids;
        for (const auto& row : rows) ids.push_back(row.integer("container_id"));
        return ids;
      }));
  std::set<std::int64_t> missing;
  for (const std::int64_t id : granted) {
    const auto found = parts_.containers.find(fleet::ContainerId(id));
    if (!found && found.error().code() == ErrorCode::not_found) missing.insert(id);
  }
  // Ended at the second sweep only: one that another node has just made may not be known here yet.
  std::set<std::int64_t> before;
  {
    const std::lock_guard changing(changing_);
    before = std::exchange(missing_, missing);
  }
  for (const std::int64_t id : missing) {
    if (before.contains(id)) BERTH_CHECK(end_grants_of(id));
  }
  return reload();
}

Result<void> AclService::end_grants_of(std::int64_t container) {
  const audit::Origin origin = system_caller().origin;
  const Timestamp now = parts_.clock.now();
  return parts_.database.write([&](store::Transaction& transaction) -> Result<void> {
    const auto rows = BERTH_TRY(
        transaction.query("SELECT user_id, rights FROM acl_grants WHERE container_id = :id", {{"id", container}}));
    for (const auto& row : rows) {
      BERTH_CHECK(record(transaction, origin, UserId(row.integer("user_id")),
                         {AclAction::revoked,
                          now,
                          origin.actor,
                          container_id(container),
                          "",
                          Rights::of_bits(row.integer("rights")),
                          {}}));
    }
    BERTH_CHECK(transaction.execute("DELETE FROM acl_grants WHERE container_id = :id", {{"id", container}}));
    return {};
  });
}

}  // namespace berth::rental
