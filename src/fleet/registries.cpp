#include "fleet/registries.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/describe/class.hpp>
#include <utility>

#include "base/encoding.h"
#include "json/write.h"

namespace berth::fleet {
namespace {

constexpr std::size_t kLongestUsername = 256;
/// Tokens of some registries are long.
constexpr std::size_t kLongestPassword = 16UL << 10U;
constexpr std::int64_t kMostRegistries = 256;

struct LoginDetails {
  std::string registry;
  std::string username;
};
BOOST_DESCRIBE_STRUCT(LoginDetails, (), (registry, username))

std::string sealing_context(std::string_view registry) {
  return "registry:" + std::string(registry);
}

audit::Entry entry_of(std::string action, const RegistryLogin& login) {
  return {.action = std::move(action),
          .resource_type = "registry",
          .resource_id = login.registry,
          .details = json::to_json(LoginDetails{login.registry, login.username})};
}

Error not_found() {
  return Error(ErrorCode::not_found, "registry.not_found",
               {"没有该镜像仓库的凭据", "There are no credentials for that registry"});
}

bool is_one_line(std::string_view text, std::size_t longest) {
  return !text.empty() && text.size() <= longest && is_utf8(text) &&
         std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

/// Every bad field at once; yields the registry as references name it.
Result<std::string> check(const NewRegistryLogin& login) {
  std::vector<FieldError> refused;
  auto registry = compute::parse_registry(login.registry);
  if (!registry) refused.push_back(registry.error().fields().front());
  // In what is sent to a registry a colon ends the name.
  if (!is_one_line(login.username, kLongestUsername) || login.username.find(':') != std::string::npos) {
    refused.push_back({"username",
                       {"应为 1 到 256 个字节，不含冒号和控制字符",
                        "This must have 1 to 256 bytes without ':' and control characters"}});
  }
  if (!is_one_line(login.password.reveal(), kLongestPassword)) {
    refused.push_back(
        {"password",
         {"应为 1 到 16384 个字节，不含控制字符", "This must have 1 to 16384 bytes without control characters"}});
  }
  if (refused.empty()) return registry;
  return Error(ErrorCode::invalid_argument, "registry.invalid",
               {"镜像仓库凭据无效", "The credentials for the registry are invalid"})
      .with_fields(std::move(refused));
}

Result<std::optional<RegistryLogin>> find(store::Transaction& transaction, const std::string& registry) {
  const auto rows = BERTH_TRY(
      transaction.query("SELECT registry, username, created_at, updated_at FROM registries WHERE registry = :registry",
                        {{"registry", registry}}));
  if (rows.empty()) return std::optional<RegistryLogin>();
  const auto& row = rows.front();
  return std::optional(
      RegistryLogin{row.text("registry"), row.text("username"), row.time("created_at"), row.time("updated_at")});
}

Result<void> check_room(store::Transaction& transaction) {
  const auto rows = BERTH_TRY(transaction.query("SELECT count(*) AS n FROM registries"));
  if (rows.front().integer("n") < kMostRegistries) return {};
  return Error(ErrorCode::conflict, "registry.limit",
               {"镜像仓库凭据的数量已达上限", "There are too many registries already"});
}

}  // namespace

Result<std::vector<RegistryLogin>> Registries::list() const {
  return parts_.database.read([](store::Transaction& transaction) -> Result<std::vector<RegistryLogin>> {
    std::vector<RegistryLogin> logins;
    const auto rows = BERTH_TRY(
        transaction.query("SELECT registry, username, created_at, updated_at FROM registries ORDER BY registry"));
    for (const auto& row : rows) {
      logins.push_back({row.text("registry"), row.text("username"), row.time("created_at"), row.time("updated_at")});
    }
    return logins;
  });
}

Result<RegistryLogin> Registries::save(const NewRegistryLogin& wish, const audit::Origin& origin) {
  const std::string registry = BERTH_TRY(check(wish));
  const Timestamp now = parts_.clock.now();
  return parts_.database.write([&](store::Transaction& transaction) -> Result<RegistryLogin> {
    const auto before = BERTH_TRY(find(transaction, registry));
    if (!before) BERTH_CHECK(check_room(transaction));
    const RegistryLogin login{registry, wish.username, before ? before->created_at : now, now};
    const store::Parameters parameters{
        {"registry", registry},
        {"username", wish.username},
        {"password", parts_.sealing.seal(wish.password.reveal(), sealing_context(registry))},
        {"now", now}};
    BERTH_CHECK(transaction.execute(
        before ? "UPDATE registries SET username = :username, sealed_password = :password, updated_at = :now WHERE "
                 "registry = :registry"
               : "INSERT INTO registries (registry, username, sealed_password, created_at, updated_at) VALUES "
                 "(:registry, :username, :password, :now, :now)",
        parameters));
    BERTH_CHECK(parts_.audit.append(transaction, origin, entry_of(before ? "registry.update" : "registry.add", login)));
    return login;
  });
}

Result<void> Registries::remove(const std::string& name, const audit::Origin& origin) {
  const std::string registry = BERTH_TRY(compute::parse_registry(name));
  return parts_.database.write([&](store::Transaction& transaction) -> Result<void> {
    const auto login = BERTH_TRY(find(transaction, registry));
    if (!login) return not_found();
    BERTH_CHECK(transaction.execute("DELETE FROM registries WHERE registry = :registry", {{"registry", registry}}));
    return parts_.audit.append(transaction, origin, entry_of("registry.remove", *login));
  });
}

Result<std::optional<compute::RegistryCredentials>> Registries::credentials_for(const std::string& image) const {
  const std::string registry = compute::registry_of(image);
  const auto rows = BERTH_TRY(parts_.database.read([&](store::Transaction& transaction) {
    return transaction.query("SELECT username, sealed_password FROM registries WHERE registry = :registry",
                             {{"registry", registry}});
  }));
  if (rows.empty()) return std::optional<compute::RegistryCredentials>();
  compute::RegistryCredentials credentials;
  credentials.username = rows.front().text("username");
  credentials.password =
      BERTH_TRY(parts_.sealing.open(rows.front().text("sealed_password"), sealing_context(registry)));
  return std::optional(std::move(credentials));
}

Result<std::int64_t> Registries::reseal(store::Database& database, const identity::Sealing& sealing) {
  return database.write([&](store::Transaction& transaction) -> Result<std::int64_t> {
    std::int64_t resealed = 0;
    for (const auto& row : BERTH_TRY(transaction.query("SELECT id, registry, sealed_password FROM registries"))) {
      const std::string sealed = row.text("sealed_password");
      if (!sealing.outdated(sealed)) continue;
      const std::string context = sealing_context(row.text("registry"));
      const Secret plain = BERTH_TRY(sealing.open(sealed, context));
      resealed += BERTH_TRY(transaction.execute(
          "UPDATE registries SET sealed_password = :fresh WHERE id = :id AND sealed_password = :sealed",
          {{"fresh", sealing.seal(plain.reveal(), context)}, {"id", row.integer("id")}, {"sealed", sealed}}));
    }
    return resealed;
  });
}

}  // namespace berth::fleet
