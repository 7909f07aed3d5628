#include "rental/notifier_sender.h"

#include <string>

namespace berth::rental {

Result<std::size_t> NotifierSender::send(store::Transaction& transaction, const Notice& notice) {
  const auto rows = BERTH_TRY(
      transaction.query("SELECT username, email FROM users WHERE id = :id AND enabled = 1", {{"id", notice.user}}));
  const auto days = std::chrono::ceil<std::chrono::days>(notice.grace).count();
  notify::Notice told;
  told.kind = notify::NoticeKind::rental_expiry;
  told.dedup_key = notice.key();
  told.values = {{"username", rows.empty() ? "" : rows.front().text("username")},
                 {"container", notice.container_name},
                 {"expiry_date", format_date(notice.expiry_date)},
                 {"grace_days", std::to_string(days)}};
  if (!rows.empty()) {
    if (std::string address = rows.front().text("email"); !address.empty())
      told.mail_to.push_back({std::move(address)});
  }
  return BERTH_TRY(notifier_.enqueue(transaction, told)).size();
}

}  // namespace berth::rental
