#include "audit/chain.h"

#include <sodium.h>

#include <array>
#include <stdexcept>

#include "base/encoding.h"

namespace berth::audit {

namespace {

class KeyedHash {
 public:
  // `purpose` keeps the two kinds of hash apart.
  KeyedHash(const Secret& key, std::string_view purpose) {
    const std::string_view bytes = key.reveal();
    if (bytes.size() != crypto_generichash_KEYBYTES) throw std::logic_error("the audit log's key has 32 bytes");
    crypto_generichash_init(&state_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                            crypto_generichash_BYTES);
    add(purpose);
  }

  KeyedHash& add(std::string_view field) {
    add_number(field.size());
    crypto_generichash_update(&state_, reinterpret_cast<const unsigned char*>(field.data()), field.size());
    return *this;
  }
  KeyedHash& add(std::int64_t number) {
    add_number(sizeof number);
    add_number(static_cast<std::uint64_t>(number));
    return *this;
  }
  std::string hex() {
    std::string hash(crypto_generichash_BYTES, '\0');
    crypto_generichash_final(&state_, reinterpret_cast<unsigned char*>(hash.data()), hash.size());
    return to_hex(hash);
  }

 private:
  // Little-endian on every machine.
  void add_number(std::uint64_t number) {
    std::array<unsigned char, 8> bytes;
    for (auto& byte : bytes) {
      byte = static_cast<unsigned char>(number & 0xFFU);
      number >>= 8U;
    }
    crypto_generichash_update(&state_, bytes.data(), bytes.size());
  }

  crypto_generichash_state state_;
};

}  // namespace

std::string entry_hash(const Secret& key, std::string_view previous, const Record& record) {
  return KeyedHash(key, "berth.audit.entry.1")
      .add(previous)
      .add(record.sequence)
      .add(record.id)
      .add(std::int64_t{record.at.time_since_epoch().count()})
      .add(record.origin.user_id.value())
      .add(record.origin.actor)
      .add(record.origin.address)
      .add(record.origin.contract)
      .add(record.origin.request_id.value())
      .add(record.entry.action)
      .add(record.entry.resource_type)
      .add(record.entry.resource_id)
      .add(record.entry.outcome == Outcome::success ? std::int64_t{1} : std::int64_t{0})
      .add(record.entry.details)
      .hex();
}

std::string head_seal(const Secret& key, std::int64_t sequence, std::string_view hash) {
  return KeyedHash(key, "berth.audit.head.1").add(sequence).add(hash).hex();
}

}  // namespace berth::audit
