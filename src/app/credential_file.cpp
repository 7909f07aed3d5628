#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/describe/class.hpp>
#include <cerrno>
#include <cstring>
#include <map>

#include "app/api_client.h"
#include "json/read.h"
#include "json/write.h"

namespace berth::app {

BOOST_DESCRIBE_STRUCT(StoredLogin, (), (username, access_token, refresh_token))

namespace {

using Logins = std::map<std::string, StoredLogin>;

Error unusable(const std::filesystem::path& file, std::string why) {
  return Error(ErrorCode::unavailable, "cli.credentials",
               {fmt::format("无法使用凭据文件 {}", file.string()),
                fmt::format("cannot use the credentials file {}", file.string())})
      .with_detail(std::move(why));
}

Result<Logins> read_logins(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return Logins{};
  const auto text = BERTH_TRY(read_secret_file(file.string()));
  auto logins = json::from_json<Logins>(text.reveal());
  if (!logins) return unusable(file, logins.error().describe());
  return std::move(*logins);
}

Result<void> make_folder(const std::filesystem::path& file) {
  std::error_code problem;
  std::filesystem::create_directories(file.parent_path().parent_path(), problem);
  if (::mkdir(file.parent_path().c_str(), 0700) != 0 && errno != EEXIST) return unusable(file, std::strerror(errno));
  return {};
}

Result<void> write_logins(const std::filesystem::path& file, const Logins& logins) {
  BERTH_CHECK(make_folder(file));
  const auto draft = fmt::format("{}.{}", file.string(), ::getpid());
  ::unlink(draft.c_str());
  const int out = ::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (out < 0) return unusable(file, std::strerror(errno));
  auto text = json::to_json(logins) + "\n";
  const bool written = ::write(out, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  wipe(text);
  ::close(out);
  if (written && ::rename(draft.c_str(), file.c_str()) == 0) return {};
  const auto why = std::string(std::strerror(errno));
  ::unlink(draft.c_str());
  return unusable(file, why);
}

}  // namespace

Result<CredentialFile> CredentialFile::of(const Environment& environment) {
  const auto value = [&](std::string_view name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::string() : found->second;
  };
  if (const auto home = value("XDG_CONFIG_HOME"); home.starts_with('/')) {
    return CredentialFile(std::filesystem::path(home) / "berth" / "credentials");
  }
  if (const auto home = value("HOME"); home.starts_with('/')) {
    return CredentialFile(std::filesystem::path(home) / ".config" / "berth" / "credentials");
  }
  return Error(ErrorCode::unavailable, "cli.credentials",
               {"未设置 HOME，无处存放登录凭据", "HOME is not set, so there is no place for logins"});
}

Result<std::optional<StoredLogin>> CredentialFile::find(const std::string& server) const {
  auto logins = BERTH_TRY(read_logins(file_));
  const auto found = logins.find(server);
  if (found == logins.end()) return std::optional<StoredLogin>();
  return std::optional(std::move(found->second));
}

Result<void> CredentialFile::store(const std::string& server, const StoredLogin& login) const {
  auto logins = BERTH_TRY(read_logins(file_));
  logins[server] = login;
  return write_logins(file_, logins);
}

Result<void> CredentialFile::remove(const std::string& server) const {
  auto logins = BERTH_TRY(read_logins(file_));
  if (logins.erase(server) == 0) return {};
  return write_logins(file_, logins);
}

Result<CredentialFile::Guard> CredentialFile::lock() const {
  BERTH_CHECK(make_folder(file_));
  const auto name = file_.string() + ".lock";
  const int file = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return unusable(file_, std::strerror(errno));
  Guard guard(file);
  while (::flock(file, LOCK_EX) != 0) {
    if (errno != EINTR) return unusable(file_, std::strerror(errno));
  }
  return guard;
}

CredentialFile::Guard::~Guard() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace berth::app
