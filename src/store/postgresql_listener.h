#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "base/result.h"
#include "base/secret.h"
#include "store/notifier.h"

namespace berth::store {

/// Hears what any node notifies, on a connection and a thread of its own; connects anew when that
/// is lost.
class PostgresqlListener {
 public:
  /// The channel of PostgreSQL that carries all of the store's; its payload is
  /// "<channel>\n<payload>".
  static constexpr const char* kCarrier = "berth";

  /// Yields once notifications are being heard. Errors: unavailable "store.unavailable".
  static Result<std::unique_ptr<PostgresqlListener>> start(const Secret& connection_string);
  PostgresqlListener(const PostgresqlListener&) = delete;
  PostgresqlListener& operator=(const PostgresqlListener&) = delete;
  ~PostgresqlListener();

  void listen(Database::Listener listener) { listeners_.add(std::move(listener)); }

 private:
  class Link;

  PostgresqlListener(Secret connection_string, int wake);
  void work();
  void reconnect();
  void deliver();
  /// True when asked to stop, within `milliseconds` (-1: without limit) or at once when the socket
  /// has data.
  bool wait_for(int socket, int milliseconds) const;

  const Secret connection_string_;
  const int wake_;
  Listeners listeners_;
  std::unique_ptr<Link> link_;  // used by the thread only, once it runs
  std::thread thread_;
};

}  // namespace berth::store
