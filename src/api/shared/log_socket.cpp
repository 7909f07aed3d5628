#include "api/shared/log_socket.h"

#include <boost/describe/class.hpp>
#include <mutex>
#include <utility>

#include "api/shared/hold_back.h"
#include "json/write.h"

namespace berth::api {
namespace log_socket {

struct End {
  std::string type = "end";
  std::string reason;
};
BOOST_DESCRIBE_STRUCT(End, (), (type, reason))

/// Between a browser and a log. Either side's end ends the other.
class Session final : public WatchedSocket, public compute::LogReader, public std::enable_shared_from_this<Session> {
 public:
  Session(OpenLog open, ExplainLogEnd explain, WorkerPool& pool, ErrorWords words)
      : open_(std::move(open)), explain_(std::move(explain)), pool_(pool), words_(std::move(words)) {}

  void on_open(std::shared_ptr<http::WebSocket> socket) override {
    {
      const std::lock_guard lock(mutex_);
      socket_ = std::move(socket);
    }
    const bool taken = pool_.submit([self = shared_from_this()] { self->begin(); });
    if (!taken) {
      fail(Error(ErrorCode::exhausted, "server.overloaded",
                 {"服务繁忙，请稍后重试", "The server is busy; try again shortly"}));
    }
  }
  void on_message(std::string_view, http::Frame) override {}
  void on_drained() override { hold_back_.drained(); }
  void on_close() override {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      socket_.reset();
    }
    let_go();
  }

  void dismiss(const Farewell& farewell) override {
    const auto target = socket();
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    if (target) target->close(farewell.code, farewell.reason);
    let_go();
  }

  void on_log(Stream, std::string_view bytes) override {
    const auto target = socket();
    if (!target) return;
    target->send(std::make_shared<const std::string>(bytes), http::Frame::binary);
    hold_back_.sent(*target);
  }
  void on_end(const Result<void>& outcome) override {
    // To find out why takes a moment, for which the engine's thread must not wait.
    const bool taken = pool_.submit([self = shared_from_this(), outcome] { self->finish(self->explain_(outcome)); });
    if (!taken) finish({"ended", {close_code::kNormal, "ended"}});
  }

 private:
  void begin() {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return;
    }
    auto opened = open_(shared_from_this());
    if (!opened) return fail(opened.error());
    const std::shared_ptr<compute::LogFollowing> following = std::move(*opened);
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return;
      following_ = following;
    }
    const std::weak_ptr<compute::LogFollowing> source = following;
    const auto tell = [source](void (compute::LogFollowing::*what)()) {
      return [source, what] {
        if (const auto held = source.lock()) ((*held).*what)();
      };
    };
    hold_back_.attach(tell(&compute::LogFollowing::pause), tell(&compute::LogFollowing::resume));
  }

  void finish(const LogEnd& end) {
    let_go();
    const auto target = socket();
    if (!target) return;
    target->send(std::make_shared<const std::string>(json::to_json(End{"end", end.reason})), http::Frame::text);
    target->close(end.farewell.code, end.farewell.reason);
  }

  void fail(const Error& error) {
    if (const auto target = socket()) close_failed(*target, words_(error));
  }

  /// The end of a following waits for a call of ours that is under way, and may take a whole engine with it: on no
  /// thread that others wait for, if that can be, and under no lock.
  void let_go() {
    std::shared_ptr<compute::LogFollowing> gone;
    {
      const std::lock_guard lock(mutex_);
      gone = std::move(following_);
    }
    if (gone) (void)pool_.submit([gone] {});
  }

  std::shared_ptr<http::WebSocket> socket() const {
    const std::lock_guard lock(mutex_);
    return socket_;
  }

  const OpenLog open_;
  const ExplainLogEnd explain_;
  WorkerPool& pool_;
  const ErrorWords words_;
  HoldBack hold_back_;
  mutable std::mutex mutex_;
  std::shared_ptr<http::WebSocket> socket_;
  std::shared_ptr<compute::LogFollowing> following_;
  bool closed_ = false;
};

}  // namespace log_socket

std::shared_ptr<WatchedSocket> make_log_socket(OpenLog open, ExplainLogEnd explain, WorkerPool& pool,
                                               ErrorWords words) {
  return std::make_shared<log_socket::Session>(std::move(open), std::move(explain), pool, std::move(words));
}

}  // namespace berth::api
