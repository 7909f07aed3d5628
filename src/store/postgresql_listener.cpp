#include "store/postgresql_listener.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/log.h"
#include "store/failure.h"

namespace berth::store {

namespace {

constexpr int kFirstPause = 100;
constexpr int kLongestPause = 5000;

}  // namespace

// A connection that has said LISTEN.
class PostgresqlListener::Link {
 public:
  static Result<std::unique_ptr<Link>> open(const Secret& connection_string) {
    auto link = std::make_unique<Link>(PQconnectdb(std::string(connection_string.reveal()).c_str()));
    if (!link->alive()) return unavailable(Obstacle::unreachable, PQerrorMessage(link->handle_));
    PQsetNoticeProcessor(
        link->handle_, [](void*, const char*) {}, nullptr);
    PGresult* result = PQexec(link->handle_, fmt::format("LISTEN {}", kCarrier).c_str());
    const bool listening = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    if (!listening) return unavailable(Obstacle::unreachable, PQerrorMessage(link->handle_));
    return link;
  }
  explicit Link(PGconn* handle) : handle_(handle) {}
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() { PQfinish(handle_); }

  bool alive() const { return PQstatus(handle_) == CONNECTION_OK; }
  int socket() const { return PQsocket(handle_); }
  bool receive() { return PQconsumeInput(handle_) == 1 && alive(); }
  std::optional<std::string> next() {
    PGnotify* notification = PQnotifies(handle_);
    if (notification == nullptr) return std::nullopt;
    std::string text = notification->extra;
    PQfreemem(notification);
    return text;
  }

 private:
  PGconn* handle_;
};

Result<std::unique_ptr<PostgresqlListener>> PostgresqlListener::start(const Secret& connection_string) {
  auto link = BERTH_TRY(Link::open(connection_string));
  const int wake = ::eventfd(0, EFD_CLOEXEC);
  if (wake < 0) return internal_error(fmt::format("eventfd: {}", std::generic_category().message(errno)));
  std::unique_ptr<PostgresqlListener> listener(new PostgresqlListener(connection_string, wake));
  listener->link_ = std::move(link);
  listener->thread_ = std::thread([raw = listener.get()] { raw->work(); });
  pthread_setname_np(listener->thread_.native_handle(), "store-listener");
  return listener;
}

PostgresqlListener::PostgresqlListener(Secret connection_string, int wake)
    : connection_string_(std::move(connection_string)), wake_(wake) {}

PostgresqlListener::~PostgresqlListener() {
  ::eventfd_write(wake_, 1);
  if (thread_.joinable()) thread_.join();
  ::close(wake_);
}

bool PostgresqlListener::wait_for(int socket, int milliseconds) const {
  std::array<pollfd, 2> watched = {{{wake_, POLLIN, 0}, {socket, POLLIN, 0}}};
  ::poll(watched.data(), socket < 0 ? 1 : 2, milliseconds);
  return watched[0].revents != 0;
}

void PostgresqlListener::work() {
  int pause = kFirstPause;
  for (;;) {
    if (link_) {
      pause = kFirstPause;
      if (wait_for(link_->socket(), -1)) return;
      deliver();
      continue;
    }
    if (wait_for(-1, pause)) return;
    pause = std::min(2 * pause, kLongestPause);
    reconnect();
  }
}

void PostgresqlListener::deliver() {
  const bool alive = link_->receive();
  while (auto text = link_->next()) {
    const std::size_t end = std::min(text->find('\n'), text->size());
    listeners_.tell({text->substr(0, end), text->substr(std::min(end + 1, text->size()))});
  }
  if (alive) return;
  log::warning("store", "the connection that hears notifications was lost");
  link_.reset();
}

void PostgresqlListener::reconnect() {
  auto link = Link::open(connection_string_);
  if (!link) return;
  link_ = *std::move(link);
  log::info("store", "notifications are heard again");
  listeners_.tell({std::string(Database::kMissedChannel), ""});
}

}  // namespace berth::store
