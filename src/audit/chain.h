#pragma once

#include <string>
#include <string_view>

#include "audit/audit_log.h"
#include "base/secret.h"

namespace berth::audit {

/// The keyed hashes that hold the log together. Each covers its fields with their lengths, so that
/// no two different lists of fields are hashed alike. In hex.

/// Of one entry: all its fields but `hash`, after the hash of the entry before ("" for the first).
std::string entry_hash(const Secret& key, std::string_view previous, const Record& record);
/// Of the head of the log: without the key it cannot be set back to an older entry that was once
/// the newest.
std::string head_seal(const Secret& key, std::int64_t sequence, std::string_view hash);

}  // namespace berth::audit
