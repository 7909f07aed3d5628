#include "http/io_thread.h"

#include <fmt/format.h>
#include <pthread.h>

#include <vector>

#include "base/log.h"
#include "http/response_head.h"

namespace berth::http {
namespace {

constexpr std::chrono::milliseconds kSweepInterval{500};
constexpr std::size_t kAccessBlock = 64UL * 1024;

}  // namespace

bool admit_connection(ServerState& state, const std::string& address) {
  const std::size_t limit = state.settings.limits.connections_per_address;
  {
    const std::lock_guard lock(state.address_mutex);
    std::size_t& count = state.per_address[address];
    if (limit != 0 && count >= limit) {
      state.refused->add();
      return false;
    }
    ++count;
  }
  state.connections.fetch_add(1);
  state.accepted->add();
  return true;
}

void release_connection(ServerState& state, const std::string& address) {
  state.connections.fetch_sub(1);
  const std::lock_guard lock(state.address_mutex);
  const auto found = state.per_address.find(address);
  if (found != state.per_address.end() && --found->second == 0) state.per_address.erase(found);
}

IoThread::IoThread(ServerState& state, std::size_t index) : state_(state), index_(index) {}

IoThread::~IoThread() {
  stop();
  join();
}

void IoThread::run() {
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), fmt::format("http-{}", index_).c_str());
    sweep();
    while (!context_.stopped()) {
      try {
        context_.run();
      } catch (const std::exception& exception) {
        log::error("http", "an I/O handler threw: {}", exception.what());
      }
    }
    flush_access_log();
  });
}

void IoThread::stop() {
  context_.stop();
}

void IoThread::join() {
  if (thread_.joinable()) thread_.join();
}

void IoThread::begin_drain() {
  const std::vector<Tracked*> all(connections_.begin(), connections_.end());
  for (Tracked* connection : all) {
    if (connections_.contains(connection)) connection->begin_drain();
  }
}

void IoThread::abort_all() {
  const std::vector<Tracked*> all(connections_.begin(), connections_.end());
  for (Tracked* connection : all) {
    if (connections_.contains(connection)) connection->abort();
  }
}

void IoThread::log_access(const Request& request, int status, std::size_t bytes, std::chrono::nanoseconds duration) {
  if (!state_.access_log->enabled()) return;
  // The query stays out: it may carry a WebSocket's token.
  const std::string_view path = std::string_view(request.target).substr(0, request.target.find('?'));
  fmt::format_to(std::back_inserter(log_lines_), "{} {} {} \"{} {}\" {} {} {:.3f}ms {}\n", log_time_,
                 request.peer.address, request.caller.empty() ? "-" : request.caller, name(request.method), path,
                 status, bytes, std::chrono::duration<double, std::milli>(duration).count(), request.id.value());
  if (log_lines_.size() >= kAccessBlock) flush_access_log();
}

void IoThread::flush_access_log() {
  if (log_lines_.empty()) return;
  state_.access_log->write(log_lines_);
  log_lines_.clear();
}

void IoThread::sweep() {
  const Timestamp now = system_clock().now();
  date_ = http_date(now);
  log_time_ = format_utc(now);
  flush_access_log();
  const Instant instant = std::chrono::steady_clock::now();
  const std::vector<Tracked*> all(connections_.begin(), connections_.end());
  for (Tracked* connection : all) {
    if (connections_.contains(connection)) connection->check_time(instant);
  }
  timer_.expires_after(kSweepInterval);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) sweep();
  });
}

}  // namespace berth::http
