#include "identity/token_cache.h"

#include <sodium.h>

#include <cstring>
#include <utility>

namespace berth::identity {

TokenCache::Digest TokenCache::digest(std::string_view token) {
  Digest digest{};
  crypto_generichash(digest.data(), digest.size(), reinterpret_cast<const unsigned char*>(token.data()), token.size(),
                     nullptr, 0);
  return digest;
}

std::size_t TokenCache::Hash::operator()(const Digest& digest) const {
  std::size_t hash = 0;
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

PrincipalPointer TokenCache::find(const Digest& digest, std::uint64_t epoch) {
  const std::lock_guard lock(mutex_);
  if (const auto found = younger_.find(digest); found != younger_.end()) {
    return found->second.epoch == epoch ? found->second.principal : nullptr;
  }
  const auto found = older_.find(digest);
  if (found == older_.end() || found->second.epoch != epoch) return nullptr;
  Entry entry = found->second;
  insert(digest, entry);
  return entry.principal;
}

void TokenCache::keep(const Digest& digest, std::uint64_t epoch, PrincipalPointer principal) {
  const std::lock_guard lock(mutex_);
  insert(digest, {epoch, std::move(principal)});
}

std::size_t TokenCache::size() const {
  const std::lock_guard lock(mutex_);
  return younger_.size() + older_.size();
}

void TokenCache::insert(const Digest& digest, Entry entry) {
  if (younger_.size() >= generation_) {
    older_ = std::move(younger_);
    younger_.clear();
  }
  younger_[digest] = std::move(entry);
}

}  // namespace berth::identity
