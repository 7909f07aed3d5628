#include "identity/reseal.h"

#include <string>

#include "identity/totp.h"

namespace berth::identity {

Result<std::int64_t> reseal(store::Database& database, const Sealing& sealing) {
  return database.write([&](store::Transaction& transaction) -> Result<std::int64_t> {
    const auto rows =
        BERTH_TRY(transaction.query("SELECT id, uuid, totp_secret FROM users WHERE totp_secret IS NOT NULL"));
    std::int64_t resealed = 0;
    for (const auto& row : rows) {
      const std::string sealed = row.text("totp_secret");
      if (!sealing.outdated(sealed)) continue;
      const std::string context = totp::sealing_context(row.text("uuid"));
      const Secret plain = BERTH_TRY(sealing.open(sealed, context));
      // Somebody may have enrolled anew meanwhile: that secret is sealed with the newest key
      // already.
      resealed += BERTH_TRY(transaction.execute(
          "UPDATE users SET totp_secret = :fresh WHERE id = :id AND totp_secret = :sealed",
          {{"fresh", sealing.seal(plain.reveal(), context)}, {"id", row.integer("id")}, {"sealed", sealed}}));
    }
    return resealed;
  });
}

}  // namespace berth::identity
