#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace berth {

/// Sensitive bytes (a password, a key): wiped from memory when destroyed or overwritten, never formatted
/// or compared by accident. Copying is explicit through `reveal`.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value);
  Secret(Secret&& other) noexcept;
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret& other);
  Secret& operator=(const Secret& other);
  ~Secret();

  /// The bytes themselves, valid while this object lives.
  std::string_view reveal() const { return value_; }
  bool empty() const { return value_.empty(); }
  /// Equal in time that depends on the lengths only.
  bool matches(std::string_view other) const;

 private:
  std::string value_;
};

/// Overwrites the bytes of `text`, up to its capacity, in a way that the compiler keeps, and empties it.
void wipe(std::string& text);

/// Reads a secret from a file of at most 64 KiB; trailing line ends are dropped. The file must be a regular
/// file that neither group nor others can read. Errors: unavailable "secret.unreadable", conflict
/// "secret.mode"; the path is in the detail.
Result<Secret> read_secret_file(const std::string& path);

}  // namespace berth
