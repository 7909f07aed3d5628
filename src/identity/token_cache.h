#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "identity/principal.h"

namespace berth::identity {

/// Remembers whose tokens were verified, by the tokens' hashes, so that a busy caller's signature
/// is not checked at every request. An answer holds for one epoch. Two generations bound it: when
/// the younger is full it becomes the older one, and what was not asked for in between is
/// forgotten. Thread-safe.
class TokenCache {
 public:
  using Digest = std::array<unsigned char, 32>;
  static Digest digest(std::string_view token);

  explicit TokenCache(std::size_t generation = 4096) : generation_(generation) {}

  /// Nothing if the token is not known or was verified in another epoch.
  PrincipalPointer find(const Digest& digest, std::uint64_t epoch);
  void keep(const Digest& digest, std::uint64_t epoch, PrincipalPointer principal);
  std::size_t size() const;

 private:
  struct Entry {
    std::uint64_t epoch;
    PrincipalPointer principal;
  };
  struct Hash {
    std::size_t operator()(const Digest& digest) const;
  };
  using Generation = std::unordered_map<Digest, Entry, Hash>;

  void insert(const Digest& digest, Entry entry);

  const std::size_t generation_;
  mutable std::mutex mutex_;
  Generation younger_;
  Generation older_;
};

}  // namespace berth::identity
