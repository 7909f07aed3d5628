#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "fleet/container_rows.h"

// What an archive of a container is on disk: a folder of its own that appears complete or not at all.
namespace berth::fleet::archive_folder {

/// A named volume and the file that holds its content.
struct ArchivedVolume {
  std::string name;
  std::string target;
  std::string file;
};

/// What an archive says of itself.
struct Manifest {
  ContainerId container;
  std::string name;
  Desired desired;  ///< as it ran: what the image had set included
  std::vector<ArchivedVolume> volumes;
  Timestamp made_at;
};

/// The files of an archive beside its manifest.
inline constexpr std::string_view kRoot = "root.tar";
std::string volume_file(std::size_t index);

/// A name for a new archive of a container.
std::string new_name(ContainerId id, Timestamp now);
/// Makes the empty folder under which a new archive is written; one left half done goes. Errors: exhausted or
/// internal "archive.disk".
Result<std::filesystem::path> begin(const std::filesystem::path& archives, const std::string& name);
/// Writes the manifest with the checksum of every file and the environment sealed, brings all of it to the disk, and
/// gives the folder its name.
Result<void> complete(const std::filesystem::path& archives, const std::string& name, const Manifest& manifest,
                      const identity::Sealing& sealing);
bool is_complete(const std::filesystem::path& archives, const std::string& name);
/// What an archive says of itself, unchecked; the environment may be `unopened`.
Result<Manifest> read(const std::filesystem::path& archives, const std::string& name, const identity::Sealing& sealing);
/// The manifest of an archive whose every file has the content that was written, and whose environment opens. Errors:
/// internal "archive.broken", conflict "archive.environment".
Result<Manifest> verify(const std::filesystem::path& archives, const std::string& name,
                        const identity::Sealing& sealing);
/// Seals the environments of complete archives that rest under an older key, or unsealed, anew; yields of how many.
/// One that cannot be read or opened holds up no other. Errors: then internal "archive.reseal", which names them.
Result<std::int64_t> reseal(const std::filesystem::path& archives, const identity::Sealing& sealing);
/// Removes what there is of a container's archives, complete or not, but for `keep`.
void remove_all(const std::filesystem::path& archives, ContainerId id, const std::string& keep);

}  // namespace berth::fleet::archive_folder
