#include "drivers/docker/memory_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace berth::drivers::docker {

Result<MemoryFile> MemoryFile::make(std::string_view content) {
  MemoryFile file(::memfd_create("berth", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (file.handle_ < 0) return internal_error("memfd_create failed");
  while (!content.empty()) {
    const ssize_t written = ::write(file.handle_, content.data(), content.size());
    if (written <= 0) return internal_error("writing to memory failed");
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  // Programs refuse a key that others could read.
  if (::fchmod(file.handle_, 0600) != 0 ||
      ::fcntl(file.handle_, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) != 0) {
    return internal_error("a file in memory cannot be sealed");
  }
  return file;
}

MemoryFile::MemoryFile(MemoryFile&& other) noexcept : handle_(std::exchange(other.handle_, -1)) {}

MemoryFile& MemoryFile::operator=(MemoryFile&& other) noexcept {
  std::swap(handle_, other.handle_);
  return *this;
}

MemoryFile::~MemoryFile() {
  if (handle_ >= 0) ::close(handle_);
}

std::string MemoryFile::path() const {
  return fmt::format("/proc/self/fd/{}", handle_);
}

}  // namespace berth::drivers::docker
