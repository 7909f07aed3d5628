#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "api/shared/authenticator.h"
#include "api/shared/call.h"
#include "http/websocket.h"
#include "identity/permission.h"

namespace berth::api {

/// With what the server closes a WebSocket: a code of RFC 6455 section 7.4 and at most 123 bytes of reason.
struct Farewell {
  std::uint16_t code = 0;
  std::string reason = {};
};

/// The codes that sockets are closed with. Those above 4000 are left to applications; they say what HTTP's would.
namespace close_code {
inline constexpr std::uint16_t kNormal = 1000;
inline constexpr std::uint16_t kInternal = 1011;
inline constexpr std::uint16_t kTryAgainLater = 1013;
inline constexpr std::uint16_t kUnauthenticated = 4401;
inline constexpr std::uint16_t kForbidden = 4403;
}  // namespace close_code

/// A WebSocket that goes on as long as its caller may have it.
class WatchedSocket : public http::WebSocketHandler {
 public:
  /// Ends at once what is behind the socket, whether or not its reader keeps up, and closes it. Thread-safe,
  /// idempotent.
  virtual void dismiss(const Farewell& farewell) = 0;
};

/// Looks after WebSockets that stay open for long: once a second it asks of each whether its caller's session or key
/// still stands and carries the permission, and whether the contract objects. An access token that merely runs out ends
/// nothing: its session does. Thread-safe.
class SocketWatch {
 public:
  /// With what a socket whose caller is now `caller` is closed; nothing: it goes on. Answers from memory, on the
  /// watch's thread, and uses nothing that ends before the watch is stopped.
  using Objection = std::function<std::optional<Farewell>(const identity::Principal& caller)>;

  explicit SocketWatch(const Authenticator& authenticator,
                       std::chrono::milliseconds interval = std::chrono::seconds(1));
  SocketWatch(const SocketWatch&) = delete;
  SocketWatch& operator=(const SocketWatch&) = delete;
  ~SocketWatch();

  /// Looks after a socket from now until it is destroyed; yields it.
  std::shared_ptr<WatchedSocket> watch(std::shared_ptr<WatchedSocket> socket, const Call& call,
                                       identity::Permission permission, Objection objection);
  /// Ends the thread; nobody is dismissed any more. Idempotent.
  void stop();

 private:
  struct Entry {
    std::weak_ptr<WatchedSocket> socket;
    std::string credential;
    identity::PrincipalPointer principal;  ///< when it was opened
    identity::Permission permission;
    Objection objection;
  };

  std::optional<Farewell> farewell_to(const Entry& entry) const;
  void look();
  void run();

  const Authenticator& authenticator_;
  const std::chrono::milliseconds interval_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::shared_ptr<const Entry>> entries_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace berth::api
