#pragma once

#include "app/api_client.h"
#include "app/console.h"
#include "base/result.h"

namespace berth::app {

/// Follows the daemon's monitor until the process is ended: on a terminal one table that is drawn again, else a
/// table (or, with `json`, the message as it came) after each message. Reconnects when the connection is lost.
/// Errors: those of the first connection, and refused credentials.
Result<void> watch_instances(ApiClient& client, Console& console, bool json);

}  // namespace berth::app
