#pragma once

#include <pthread.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace berth::http {

/// The I/O thread of a client and what runs on it. Sessions share it, so that a late handle finds it alive.
/// Thread-safe.
class ClientLoop {
 public:
  explicit ClientLoop(const std::string& thread_name) : work_(context_.get_executor()) {
    thread_ = std::thread([this] { context_.run(); });
    pthread_setname_np(thread_.native_handle(), thread_name.substr(0, 15).c_str());
  }

  boost::asio::io_context& context() { return context_; }

  /// Runs `action` on the thread soon; drops it once the loop has ended.
  template <class Action>
  void post(Action&& action) {
    const std::lock_guard lock(mutex_);
    if (!ended_) boost::asio::post(context_, std::forward<Action>(action));
  }

  bool on_thread() const { return std::this_thread::get_id() == thread_.get_id(); }

  /// Runs `action` on the thread and waits for it; false, unrun, once the loop has ended.
  bool run_and_wait(const std::function<void()>& action) {
    if (on_thread()) {
      action();
      return true;
    }
    std::promise<void> done;
    {
      const std::lock_guard lock(mutex_);
      if (ended_) return false;
      boost::asio::post(context_, [&] {
        action();
        done.set_value();
      });
    }
    done.get_future().wait();
    return true;
  }

  /// Runs `last` on the thread, lets everything pending finish, joins.
  void end(const std::function<void()>& last) {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      boost::asio::post(context_, last);
    }
    work_.reset();
    thread_.join();
  }

 private:
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::mutex mutex_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace berth::http
