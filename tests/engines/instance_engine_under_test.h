// The ground on which the suite of instance_engine_conformance.h stands: the engine under test and what watches it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/encoding.h"
#include "compute/engine.h"

namespace berth::testing {

/// An engine, and hands that change it behind the driver's back.
struct EngineUnderTest {
  std::shared_ptr<void> owner;  ///< keeps what `engine` needs
  compute::InstanceEngine* engine = nullptr;
  std::string image;                        ///< alias of a small image that has sh, echo, env, pwd and seq
  std::string stopped_word = "Stopped";     ///< the engine's own for an instance that never ran
  std::chrono::milliseconds limit{60'000};  ///< for any one call
  std::chrono::milliseconds event_limit{5'000};
  std::function<void(std::string)> start_outside;
  std::function<void(std::string)> stop_outside;    ///< by force
  std::function<void(std::string)> remove_outside;  ///< of a stopped one
  std::function<std::string()> disposable_image;    ///< an alias of an image that may be removed
};

using EngineFactory = std::function<EngineUnderTest()>;

/// Collects an engine's events.
class EventCollector final : public compute::EngineWatcher {
 public:
  void on_event(const compute::EngineEvent& event) override {
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
    changed_.notify_all();
  }
  void on_gap() override {
    const std::lock_guard lock(mutex_);
    ++gaps_;
    changed_.notify_all();
  }
  template <class Condition>
  bool wait(Condition condition, std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return std::ranges::any_of(events_, condition); });
  }
  bool wait_for_gap(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return gaps_ > 0; });
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    events_.clear();
  }
  std::size_t count() {
    const std::lock_guard lock(mutex_);
    return events_.size() + gaps_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<compute::EngineEvent> events_;
  std::size_t gaps_ = 0;
};

/// Collects what comes out of a terminal.
class OutputCollector final : public compute::TerminalOutput {
 public:
  void on_output(std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    if (ended_) after_end_ = true;
    text_ += bytes;
    changed_.notify_all();
  }
  void on_end(std::optional<int> exit_code) override {
    const std::lock_guard lock(mutex_);
    if (ended_) after_end_ = true;
    ended_ = true;
    exit_code_ = exit_code;
    changed_.notify_all();
  }
  bool wait_for_text(const std::string& part, std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return text_.find(part) != std::string::npos; });
  }
  bool wait_for_end(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, [&] { return ended_; });
  }
  std::optional<int> exit_code() {
    const std::lock_guard lock(mutex_);
    return exit_code_;
  }
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }
  bool called_after_end() {
    const std::lock_guard lock(mutex_);
    return after_end_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  bool ended_ = false;
  bool after_end_ = false;
  std::optional<int> exit_code_;
};

class InstanceEngineConformance : public ::testing::TestWithParam<EngineFactory> {
 protected:
  using Status = compute::Status;

  InstanceEngineConformance() : under_test_(GetParam()()) {}

  void TearDown() override {
    for (const std::string& name : made_) {
      (void)engine().stop(name, std::chrono::seconds(0), {}, deadline());
      (void)engine().remove(name, {}, deadline());
    }
  }

  compute::InstanceEngine& engine() { return *under_test_.engine; }
  Deadline deadline() const { return Deadline::after(under_test_.limit); }

  /// A name that nobody has, removed after the test.
  std::string fresh_name() {
    made_.push_back("cf-" + to_hex(random_bytes(5)));
    return made_.back();
  }

  compute::NewInstance wish(const std::string& name, bool start) {
    compute::NewInstance wish;
    wish.name = name;
    wish.image = under_test_.image;
    wish.description = name + " 20001 pass-word'1 30000 30025";
    wish.start = start;
    return wish;
  }

  std::string make(bool start) {
    std::string name = fresh_name();
    const auto created = engine().create(wish(name, start), {}, deadline());
    EXPECT_TRUE(created) << (created ? "" : created.error().describe());
    return name;
  }

  Status status_of(const std::string& name) {
    const auto found = engine().get(name, deadline());
    EXPECT_TRUE(found) << (found ? "" : found.error().describe());
    return found ? found->status : Status::error;
  }

  bool eventually(const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + under_test_.limit;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }

  compute::Capabilities capabilities() {
    const auto info = engine().info(deadline());
    EXPECT_TRUE(info) << (info ? "" : info.error().describe());
    return info ? info->capabilities : compute::Capabilities{};
  }

  bool listed(const std::string& name) {
    const auto all = engine().list(deadline());
    EXPECT_TRUE(all) << (all ? "" : all.error().describe());
    return all && std::ranges::find(*all, name, &compute::Instance::name) != all->end();
  }

  template <class T>
  static void expect_error(const Result<T>& result, ErrorCode code, std::string_view reason) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), code) << result.error().describe();
    EXPECT_EQ(result.error().reason(), reason) << result.error().describe();
    EXPECT_FALSE(result.error().message().zh.empty());
    EXPECT_FALSE(result.error().message().en.empty());
  }

  EngineUnderTest under_test_;

 private:
  std::vector<std::string> made_;
};

}  // namespace berth::testing
