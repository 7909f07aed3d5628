#include "app/foundation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "app/state_lock.h"
#include "base/encoding.h"
#include "base/log.h"

namespace berth::app {
namespace {

constexpr std::size_t kPasswordBytes = 15;  // 20 characters, 120 bits

/// Writes a file of mode 0600 that is complete when it has its name.
Result<void> write_secret_file(const std::filesystem::path& path, const std::string& text) {
  const auto failed = [&] {
    return Error(ErrorCode::unavailable, "state.folder",
                 {fmt::format("无法写入 {}", path.string()), fmt::format("cannot write {}", path.string())})
        .with_detail(std::strerror(errno));
  };
  const auto draft = path.string() + ".new";
  ::unlink(draft.c_str());
  const int file = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return failed();
  const bool written =
      ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(file) == 0;
  ::close(file);
  if (!written || ::rename(draft.c_str(), path.c_str()) != 0) return failed();
  return {};
}

/// The version of the schema found, if `migrate` allows to go on from it.
Result<int> check_schema(store::Database& database, Migrate migrate) {
  const int found = BERTH_TRY(database.schema_version());
  const int newest = store::Database::newest_schema_version();
  if (found == newest || found == 0 || migrate == Migrate::always) return found;
  return Error(ErrorCode::conflict, "store.old_schema",
               {fmt::format("数据库结构为第 {} 版，需要第 {} 版；请先运行 berth migrate", found, newest),
                fmt::format("the store has schema {}, this program needs {}; run berth migrate first", found, newest)});
}

}  // namespace

Result<store::Database::Settings> store_settings(const Configuration& configuration) {
  store::Database::Settings settings;
  settings.dialect = configuration.store.dialect;
  settings.file = configuration.store.file;
  settings.readers = configuration.store.readers;
  settings.wait = configuration.store.wait;
  settings.backups = configuration.store.backups;
  if (settings.dialect == store::Dialect::postgresql) {
    settings.postgresql = BERTH_TRY(read_secret_file(configuration.store.postgresql_file.string()));
  }
  return settings;
}

Result<std::unique_ptr<Foundation>> Foundation::open(const Configuration& configuration, Migrate migrate) {
  BERTH_CHECK(make_state_folder(configuration.state.folder));
  auto foundation = std::make_unique<Foundation>();
  const auto settings = BERTH_TRY(store_settings(configuration));
  foundation->database = BERTH_TRY(store::Database::open(settings, foundation->metrics));
  const int found = BERTH_TRY(check_schema(*foundation->database, migrate));
  // The key comes first: a crash in between leaves a key without a store, never the reverse.
  foundation->sealing.emplace(BERTH_TRY(identity::Sealing::load(configuration.identity.sealing_key_file, found == 0)));
  if (found != store::Database::newest_schema_version()) {
    const int steps = BERTH_TRY(foundation->database->migrate());
    log::info("app", "store migrated from schema {} in {} steps", found, steps);
  }
  foundation->audit =
      std::make_unique<audit::AuditLog>(*foundation->database, foundation->sealing->derive("audit"), system_clock());
  identity::IdentityService::Settings identity;
  identity.access_lifetime = configuration.identity.access_lifetime;
  identity.refresh_lifetime = configuration.identity.refresh_lifetime;
  identity.free_attempts = configuration.identity.free_attempts;
  foundation->identity = BERTH_TRY(identity::IdentityService::create(
      identity, *foundation->database, *foundation->audit, *foundation->sealing, system_clock()));
  return foundation;
}

audit::Origin command_origin() {
  audit::Origin origin;
  origin.actor = fmt::format("uid:{}", ::getuid());
  origin.contract = "cli";
  return origin;
}

Result<std::optional<FirstAdministrator>> make_first_administrator(identity::IdentityService& identity,
                                                                   const Configuration& configuration,
                                                                   const Environment& environment) {
  if (BERTH_TRY(identity.has_users())) return std::optional<FirstAdministrator>();
  FirstAdministrator administrator;
  administrator.username = "admin";
  const auto given = environment.find("BERTH_ADMIN_PASSWORD");
  if (given != environment.end() && !given->second.empty()) {
    administrator.password = Secret(given->second);
  } else if (!configuration.identity.admin_password_file.empty()) {
    administrator.password = BERTH_TRY(read_secret_file(configuration.identity.admin_password_file.string()));
  } else {
    // Written before the user exists: a crash in between leaves a file without a user, never the reverse.
    auto password = to_base64url(random_bytes(kPasswordBytes));
    administrator.password_file = admin_password_file(configuration.state.folder);
    BERTH_CHECK(write_secret_file(administrator.password_file, password + "\n"));
    administrator.password = Secret(password);
    wipe(password);
  }
  identity::NewUser user;
  user.username = administrator.username;
  user.email = "admin@berth.local";
  user.password = administrator.password;
  user.role = identity::Role::admin;
  audit::Origin origin;
  origin.actor = "system";
  origin.contract = "system";
  if (auto made = identity.create_user(user, origin); !made) return take_error(made);
  return std::optional(std::move(administrator));
}

}  // namespace berth::app
