#pragma once

#include "notify/notifier.h"
#include "rental/notice.h"

namespace berth::rental {

/// Hands notices to the notifier, which mails the user and calls the webhooks. A user without an address, or who is
/// gone, gets no mail; webhooks are called all the same.
class NotifierSender final : public NoticeSender {
 public:
  explicit NotifierSender(notify::Notifier& notifier) : notifier_(notifier) {}
  Result<std::size_t> send(store::Transaction& transaction, const Notice& notice) override;

 private:
  notify::Notifier& notifier_;
};

}  // namespace berth::rental
