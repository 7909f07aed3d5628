#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace berth::drivers::docker {

/// A file that rests in this process's memory alone, under a name by which libraries can open it, and as a descriptor
/// for a program that we start. Nobody can change it; only its owner may read it. Gone with this object.
class MemoryFile {
 public:
  static Result<MemoryFile> make(std::string_view content);
  MemoryFile(MemoryFile&& other) noexcept;
  MemoryFile& operator=(MemoryFile&& other) noexcept;
  ~MemoryFile();

  int handle() const { return handle_; }
  /// For this process only.
  std::string path() const;

 private:
  explicit MemoryFile(int handle) : handle_(handle) {}

  int handle_;
};

}  // namespace berth::drivers::docker
