#include "api/shared/socket_watch.h"

#include <pthread.h>

#include <utility>

namespace berth::api {

SocketWatch::SocketWatch(const Authenticator& authenticator, std::chrono::milliseconds interval)
    : authenticator_(authenticator), interval_(interval), thread_([this] { run(); }) {}

SocketWatch::~SocketWatch() {
  stop();
}

void SocketWatch::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<WatchedSocket> SocketWatch::watch(std::shared_ptr<WatchedSocket> socket, const Call& call,
                                                  identity::Permission permission, Objection objection) {
  auto entry =
      std::make_shared<const Entry>(Entry{socket, call.credential, call.principal, permission, std::move(objection)});
  const std::lock_guard lock(mutex_);
  entries_.push_back(std::move(entry));
  return socket;
}

void SocketWatch::run() {
  pthread_setname_np(pthread_self(), "sockets");
  std::unique_lock lock(mutex_);
  while (!wake_.wait_for(lock, interval_, [this] { return stopping_; })) {
    lock.unlock();
    look();
    lock.lock();
  }
}

std::optional<Farewell> SocketWatch::farewell_to(const Entry& entry) const {
  identity::PrincipalPointer caller = entry.principal;
  if (!entry.credential.empty()) {
    auto settled = authenticator_.settle_again(entry.credential, *entry.principal);
    if (!settled) return Farewell{close_code::kUnauthenticated, "credential expired or revoked"};
    caller = std::move(*settled);
  }
  if (!caller->allows(entry.permission)) return Farewell{close_code::kForbidden, "no longer permitted"};
  return entry.objection(*caller);
}

void SocketWatch::look() {
  std::vector<std::shared_ptr<const Entry>> entries;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(entries_, [](const auto& entry) { return entry->socket.expired(); });
    entries = entries_;
  }
  for (const auto& entry : entries) {
    const auto socket = entry->socket.lock();
    if (!socket) continue;
    if (const auto farewell = farewell_to(*entry)) socket->dismiss(*farewell);
  }
}

}  // namespace berth::api
