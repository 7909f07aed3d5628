#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace berth::identity {

/// Seals secrets at rest with XChaCha20-Poly1305 under a key from a file of mode 0600 (or a systemd
/// credential). A sealed value names its key, so several keys may live side by side while one is
/// rotated out. Thread-safe; immutable.
class Sealing {
 public:
  /// Reads the key file: one 32-byte key per line in hex, the newest first. Makes it, with a random
  /// key and mode 0600, if it does not exist and `create_missing`.
  static Result<Sealing> load(const std::filesystem::path& file, bool create_missing);
  /// For tests.
  static Sealing from_keys(std::vector<Secret> keys);

  /// `context` is authenticated, not stored: it ties a sealed value to its place ("totp:<user
  /// uuid>").
  std::string seal(std::string_view plain, std::string_view context) const;
  /// Errors: internal "sealing.broken" if the value was altered, moved or its key is gone.
  Result<Secret> open(std::string_view sealed, std::string_view context) const;
  /// True if the value is sealed with an older key than the newest.
  bool outdated(std::string_view sealed) const;
  /// 32 bytes derived from the oldest key of the file for one purpose ("audit", "tokens"); stays
  /// the same when a newer key is put in front.
  Secret derive(std::string_view purpose) const;
  /// Puts a fresh key in front of the file, atomically. Values are resealed by the caller.
  static Result<void> rotate(const std::filesystem::path& file);

 private:
  explicit Sealing(std::vector<Secret> keys);
  std::vector<Secret> keys_;
};

}  // namespace berth::identity
