#include "fleet/archive_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>

#include "base/encoding.h"
#include "base/log.h"
#include "fleet/container_json.h"
#include "json/read.h"
#include "json/write.h"

namespace berth::fleet {

namespace stored {

struct ArchivedFile {
  std::string file;
  std::uint64_t bytes = 0;
  std::string sha256;
};
BOOST_DESCRIBE_STRUCT(ArchivedFile, (), (file, bytes, sha256))

struct ArchivedVolume {
  std::string name;
  std::string target;
  std::string file;
};
BOOST_DESCRIBE_STRUCT(ArchivedVolume, (), (name, target, file))

struct Manifest {
  std::int64_t container = 0;
  std::string name;
  std::string desired;  ///< JSON, as text, so that it is read by what wrote it; its environment is sealed
  std::vector<ArchivedVolume> volumes;
  std::vector<ArchivedFile> files;
  std::int64_t made_at = 0;
};
BOOST_DESCRIBE_STRUCT(Manifest, (), (container, name, desired, volumes, files, made_at))

}  // namespace stored

namespace archive_folder {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kManifest = "manifest.json";
constexpr std::string_view kPartial = ".partial";
constexpr std::string_view kFresh = ".new";
constexpr std::size_t kBlock = 1UL << 20U;

Error disk_error(const std::string& what, int problem) {
  const bool full = problem == ENOSPC || problem == EDQUOT;
  return Error(full ? ErrorCode::exhausted : ErrorCode::internal, "archive.disk",
               full ? Text{"归档磁盘空间不足", "There is no room left for the archive"}
                    : Text{"无法写入归档", "The archive cannot be written"})
      .with_detail(what + ": " + std::strerror(problem));
}

/// For what the archive of that name keeps of its container.
EnvironmentSeal seal_of(const std::string& name, const identity::Sealing& sealing) {
  return {sealing, "archive:" + name};
}

Error broken(std::string detail) {
  return Error(ErrorCode::internal, "archive.broken",
               {"归档已损坏，无法恢复", "The archive is damaged and cannot be restored"})
      .with_detail(std::move(detail));
}

/// An open file that closes itself.
class File {
 public:
  File(const fs::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0600)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  explicit operator bool() const { return fd_ >= 0; }
  int fd() const { return fd_; }

 private:
  int fd_;
};

Result<void> sync(const fs::path& path, int flags) {
  const File file(path, flags);
  if (!file || ::fsync(file.fd()) != 0) return disk_error("syncing " + path.string(), errno);
  return {};
}

Result<stored::ArchivedFile> measure(const fs::path& folder, const std::string& name) {
  const File file(folder / name, O_RDONLY);
  if (!file) return broken("cannot open " + (folder / name).string());
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  stored::ArchivedFile measured{name, 0, {}};
  std::vector<unsigned char> block(kBlock);
  while (true) {
    const ssize_t got = ::read(file.fd(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return broken("cannot read " + (folder / name).string());
    if (got == 0) break;
    crypto_hash_sha256_update(&state, block.data(), static_cast<unsigned long long>(got));
    measured.bytes += static_cast<std::uint64_t>(got);
  }
  std::array<unsigned char, crypto_hash_sha256_BYTES> sum{};
  crypto_hash_sha256_final(&state, sum.data());
  measured.sha256 = to_hex({reinterpret_cast<const char*>(sum.data()), sum.size()});
  return measured;
}

Result<void> write_file(const fs::path& path, std::string_view content) {
  const File file(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (!file) return disk_error("making " + path.string(), errno);
  while (!content.empty()) {
    const ssize_t written = ::write(file.fd(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return disk_error("writing " + path.string(), errno);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(file.fd()) != 0) return disk_error("syncing " + path.string(), errno);
  return {};
}

Result<stored::Manifest> load(const fs::path& folder) {
  std::ifstream in(folder / kManifest, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  if (!in) return broken("cannot read the manifest in " + folder.string());
  auto manifest = json::from_json<stored::Manifest>(text.str());
  if (!manifest) return broken("the manifest in " + folder.string() + ": " + manifest.error().describe());
  return manifest;
}

Result<Manifest> manifest_of(stored::Manifest in, const EnvironmentSeal& seal) {
  Manifest manifest;
  manifest.container = ContainerId(in.container);
  manifest.name = std::move(in.name);
  manifest.desired = BERTH_TRY(desired_from_json(in.desired, seal));
  for (auto& volume : in.volumes) {
    manifest.volumes.push_back({std::move(volume.name), std::move(volume.target), std::move(volume.file)});
  }
  manifest.made_at = Timestamp(std::chrono::microseconds(in.made_at));
  return manifest;
}

/// Whether anything had to be sealed anew. The manifest is the old or the new one, never half of it.
Result<bool> reseal_one(const fs::path& archives, const std::string& name, const identity::Sealing& sealing) {
  const fs::path folder = archives / name;
  auto manifest = BERTH_TRY(load(folder));
  auto fresh = BERTH_TRY(reseal_desired(manifest.desired, seal_of(name, sealing)));
  if (!fresh) return false;
  manifest.desired = std::move(*fresh);
  const fs::path beside = folder / (std::string(kManifest) + std::string(kFresh));
  BERTH_CHECK(write_file(beside, json::to_json(manifest)));
  std::error_code problem;
  fs::rename(beside, folder / kManifest, problem);
  if (problem) return disk_error("naming " + beside.string(), problem.value());
  BERTH_CHECK(sync(folder, O_RDONLY | O_DIRECTORY));
  return true;
}

}  // namespace

std::string volume_file(std::size_t index) {
  return fmt::format("volume-{}.tar", index);
}

std::string new_name(ContainerId id, Timestamp now) {
  return fmt::format("{}-{}", id.value(), now.time_since_epoch().count());
}

Result<fs::path> begin(const fs::path& archives, const std::string& name) {
  const fs::path folder = archives / (name + std::string(kPartial));
  std::error_code problem;
  fs::remove_all(folder, problem);
  if (!fs::create_directory(folder, problem)) return disk_error("making " + folder.string(), problem.value());
  fs::permissions(folder, fs::perms::owner_all, problem);
  return folder;
}

Result<void> complete(const fs::path& archives, const std::string& name, const Manifest& manifest,
                      const identity::Sealing& sealing) {
  const fs::path folder = archives / (name + std::string(kPartial));
  stored::Manifest out{.container = manifest.container.value(),
                       .name = manifest.name,
                       .desired = to_json(manifest.desired, seal_of(name, sealing)),
                       .volumes = {},
                       .files = {},
                       .made_at = manifest.made_at.time_since_epoch().count()};
  out.files.push_back(BERTH_TRY(measure(folder, std::string(kRoot))));
  for (const auto& volume : manifest.volumes) {
    out.volumes.push_back({volume.name, volume.target, volume.file});
    out.files.push_back(BERTH_TRY(measure(folder, volume.file)));
  }
  for (const auto& file : out.files) BERTH_CHECK(sync(folder / file.file, O_RDONLY));
  BERTH_CHECK(write_file(folder / kManifest, json::to_json(out)));
  BERTH_CHECK(sync(folder, O_RDONLY | O_DIRECTORY));
  std::error_code problem;
  fs::rename(folder, archives / name, problem);
  if (problem) return disk_error("naming " + folder.string(), problem.value());
  return sync(archives, O_RDONLY | O_DIRECTORY);
}

bool is_complete(const fs::path& archives, const std::string& name) {
  std::error_code problem;
  return !name.empty() && fs::exists(archives / name / kManifest, problem);
}

Result<Manifest> read(const fs::path& archives, const std::string& name, const identity::Sealing& sealing) {
  return manifest_of(BERTH_TRY(load(archives / name)), seal_of(name, sealing));
}

Result<Manifest> verify(const fs::path& archives, const std::string& name, const identity::Sealing& sealing) {
  auto stored = BERTH_TRY(load(archives / name));
  for (const auto& file : stored.files) {
    if (file.file.find('/') != std::string::npos) return broken("a file of the manifest is elsewhere: " + file.file);
    const auto found = BERTH_TRY(measure(archives / name, file.file));
    if (found.bytes != file.bytes || found.sha256 != file.sha256) {
      return broken(fmt::format("{} in {} is not what was written", file.file, name));
    }
  }
  auto manifest = BERTH_TRY(manifest_of(std::move(stored), seal_of(name, sealing)));
  if (!manifest.desired.unopened.empty()) {
    return Error(ErrorCode::conflict, "archive.environment",
                 {"归档中的环境变量无法解封，其密钥已丢失",
                  "The environment in the archive does not open: its key is gone"})
        .with_detail(name);
  }
  return manifest;
}

Result<std::int64_t> reseal(const fs::path& archives, const identity::Sealing& sealing) {
  std::int64_t resealed = 0;
  std::string failed;
  std::error_code problem;
  for (fs::directory_iterator at(archives, problem), end; !problem && at != end; at.increment(problem)) {
    const std::string name = at->path().filename().string();
    if (name.ends_with(kPartial) || !is_complete(archives, name)) continue;
    const auto done = reseal_one(archives, name, sealing);
    if (done) {
      resealed += *done ? 1 : 0;
    } else {
      log::error("fleet", "the archive {} is not sealed anew: {}", name, done.error().describe());
      failed += (failed.empty() ? "" : ", ") + name;
    }
  }
  if (problem && problem != std::errc::no_such_file_or_directory) {
    return disk_error("reading " + archives.string(), problem.value());
  }
  if (failed.empty()) return resealed;
  return Error(ErrorCode::internal, "archive.reseal",
               {fmt::format("以下归档无法重新封存：{}", failed),
                fmt::format("These archives could not be sealed anew: {}", failed)});
}

void remove_all(const fs::path& archives, ContainerId id, const std::string& keep) {
  const std::string prefix = fmt::format("{}-", id.value());
  std::error_code problem;
  std::vector<fs::path> gone;
  for (fs::directory_iterator at(archives, problem), end; !problem && at != end; at.increment(problem)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with(prefix) && name != keep) gone.push_back(at->path());
  }
  for (const auto& path : gone) {
    fs::remove_all(path, problem);
    if (problem) log::warning("fleet", "cannot remove {}: {}", path.string(), problem.message());
  }
}

}  // namespace archive_folder
}  // namespace berth::fleet
