#pragma once

#include "api/shared/contract.h"
#include "notify/notifier.h"

namespace berth::api::container_rental {

/// What the routes of notifications call. Everything outlives the contract.
struct NotificationRouteParts {
  notify::Notifier& notifier;
  /// A test waits until it is known how it went.
  WorkerPool& changes;
  WorkerPool& reads;
};

/// Declares `/api/notifications/…`.
void add_notification_routes(Contract& contract, const NotificationRouteParts& parts);

}  // namespace berth::api::container_rental
