#include "store/sqlite_database.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "store/failure.h"
#include "store/notification_rules.h"
#include "store/sqlite_connection.h"

namespace berth::store {

namespace {

Error file_trouble(const std::filesystem::path& file, int code) {
  std::string detail = fmt::format("{}: {}", file.string(), std::generic_category().message(code));
  const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
  return unavailable(full ? Obstacle::full : Obstacle::unreadable, std::move(detail));
}

Result<void> sync(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  if (descriptor < 0) return file_trouble(path, errno);
  const int code = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  if (code != 0) return file_trouble(path, code);
  return {};
}

std::filesystem::path folder_of(const std::filesystem::path& file) {
  return file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
}

// Removes the unfinished copy however the backup ends.
class Unfinished {
 public:
  explicit Unfinished(std::filesystem::path path) : path_(std::move(path)) {}
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  ~Unfinished() { ::unlink(path_.c_str()); }

 private:
  std::filesystem::path path_;
};

}  // namespace

SqliteDatabase::SqliteDatabase(const Settings& settings, metrics::Registry& metrics,
                               std::span<const Migration> migrations)
    : SqlDatabase(
          settings, metrics, migrations,
          [file = settings.file, wait = settings.wait](Kind kind) { return SqliteConnection::open(file, kind, wait); },
          [this](std::vector<Notification> notifications) { notifier_.publish(std::move(notifications)); }) {}

Result<std::unique_ptr<Database>> SqliteDatabase::open(const Settings& settings, metrics::Registry& metrics,
                                                       std::span<const Migration> migrations) {
  std::unique_ptr<SqliteDatabase> database(new SqliteDatabase(settings, metrics, migrations));
  BERTH_CHECK(database->start());
  return database;
}

Result<void> SqliteDatabase::backup_to(const std::filesystem::path& target) {
  // Copied under another name, synced, then linked: a file of the target's name is always whole,
  // and an older backup of that name is never overwritten.
  const std::filesystem::path partial = target.native() + ".partial";
  ::unlink(partial.c_str());
  const int descriptor = ::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) return file_trouble(partial, errno);
  ::close(descriptor);
  const Unfinished unfinished(partial);
  {
    // A connection of its own, because a copy of a large file takes long and one for reading
    // refuses VACUUM.
    auto connection = BERTH_TRY(connect(Kind::write));
    BERTH_CHECK(connection->execute("VACUUM INTO :target", {{"target", partial.native()}}));
  }
  BERTH_CHECK(sync(partial, O_RDONLY));
  if (::link(partial.c_str(), target.c_str()) != 0) {
    if (errno != EEXIST) return file_trouble(target, errno);
    return Error(ErrorCode::already_exists, "store.backup_exists",
                 {"同名备份文件已存在", "A backup of that name exists"})
        .with_detail(target.string());
  }
  return sync(folder_of(target), O_RDONLY | O_DIRECTORY);
}

Result<void> SqliteDatabase::before_migration(int version) {
  const std::filesystem::path folder = settings().backups.empty() ? folder_of(settings().file) : settings().backups;
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) return file_trouble(folder, failed.value());
  // Microseconds in the name: two migrations within one second must not collide.
  const auto now = system_clock().now();
  const auto whole = std::chrono::floor<std::chrono::seconds>(now);
  const auto target =
      folder / fmt::format("{}-v{}-{:%Y%m%dT%H%M%S}.{:06}Z.db", settings().file.stem().string(), version,
                           fmt::gmtime(std::chrono::system_clock::to_time_t(whole)), (now - whole).count());
  BERTH_CHECK(backup_to(target));
  log::info("store", "backed up schema version {} to {}", version, target.string());
  return {};
}

Result<void> SqliteDatabase::notify(Transaction& transaction, std::string_view channel, std::string_view payload) {
  auto& active = BERTH_TRY(notifying(transaction, channel, payload)).get();
  active.notifications().push_back({std::string(channel), std::string(payload)});
  return {};
}

}  // namespace berth::store
