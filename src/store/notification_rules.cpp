#include "store/notification_rules.h"

#include <stdexcept>

#include "store/database.h"
#include "store/failure.h"

namespace berth::store {

Result<std::reference_wrapper<ActiveTransaction>> notifying(Transaction& transaction, std::string_view channel,
                                                            std::string_view payload) {
  auto* active = dynamic_cast<ActiveTransaction*>(&transaction);
  if (active == nullptr || active->kind() != Kind::write) {
    throw std::logic_error("a notification belongs to a write transaction of the store");
  }
  if (channel.empty() || channel.find('\n') != std::string_view::npos) {
    throw std::logic_error("a channel is a name without line ends");
  }
  if (channel.size() + payload.size() > Database::kMaxNotification) {
    return Error(ErrorCode::too_large, "store.notification", {"通知内容过长", "The notification is too long"});
  }
  if (auto refused = check_storable({{"channel", channel}, {"payload", payload}})) return *std::move(refused);
  return std::ref(*active);
}

}  // namespace berth::store
