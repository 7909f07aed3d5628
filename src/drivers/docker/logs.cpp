#include "drivers/docker/logs.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "compute/instance.h"
#include "drivers/docker/frames.h"

namespace berth::drivers::docker {
namespace {

constexpr std::size_t kLogLimit = 1UL << 20U;

/// Seconds since 1970 with a fraction, as Docker reads times.
std::string write_time(Timestamp time) {
  const auto us = std::max<std::int64_t>(0, time.time_since_epoch().count());
  return fmt::format("{}.{:06}", us / 1'000'000, us % 1'000'000);
}

std::string write_query(const compute::LogQuery& query, bool follow) {
  std::string text = "?stdout=true&stderr=true";
  if (follow) text += "&follow=true";
  if (query.timestamps) text += "&timestamps=true";
  if (query.since) text += "&since=" + write_time(*query.since);
  if (query.until) text += "&until=" + write_time(*query.until);
  // A line has a byte at least: more lines would not be shown, and there may be millions.
  if (query.tail) {
    text += "&tail=" + std::to_string(*query.tail);
  } else if (!follow) {
    text += "&tail=" + std::to_string(kLogLimit);
  }
  return text;
}

/// Keeps the end of a log, and waits for the end.
class Collector : public http::StreamHandler {
 public:
  explicit Collector(bool terminal) : frames_(terminal) {}

  void on_data(std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    sound_ = sound_ && frames_.feed(bytes, [this](FrameReader::Stream, std::string_view part) { text_ += part; });
    if (text_.size() > 2 * kLogLimit) text_.erase(0, text_.size() - kLogLimit);
  }
  void on_end(const Result<void>& outcome) override {
    const std::lock_guard lock(mutex_);
    end_ = outcome;
    ended_.notify_all();
  }

  Result<std::string> wait(Deadline deadline) {
    std::unique_lock lock(mutex_);
    if (!ended_.wait_until(lock, deadline.at(), [this] { return end_.has_value(); })) return timed_out();
    if (!*end_) return translate(end_->error());
    if (!sound_) return nonsense("a log that is not made of frames");
    if (text_.size() > kLogLimit) text_.erase(0, text_.size() - kLogLimit);
    return std::move(text_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  FrameReader frames_;
  bool sound_ = true;
  std::string text_;
  std::optional<Result<void>> end_;
};

/// Passes on what one followed log brings. On the streams' thread only.
class Follower : public http::StreamHandler {
 public:
  Follower(std::shared_ptr<compute::LogReader> reader, bool terminal) : reader_(std::move(reader)), frames_(terminal) {}

  void on_data(std::string_view bytes) override {
    frames_.feed(bytes, [this](FrameReader::Stream stream, std::string_view part) {
      const bool error = stream == FrameReader::Stream::standard_error;
      reader_->on_log(error ? compute::LogReader::Stream::standard_error : compute::LogReader::Stream::standard_output,
                      part);
    });
  }
  void on_end(const Result<void>& outcome) override {
    if (outcome) return reader_->on_end({});
    // Cut off in the middle of a line, or let go of because the engine is not used any more: it is gone for us.
    const Error why = translate(outcome.error());
    reader_->on_end(why.code() == ErrorCode::unavailable ? why
                                                         : compute::engine_unavailable().with_detail(why.describe()));
  }

 private:
  std::shared_ptr<compute::LogReader> reader_;
  FrameReader frames_;
};

class Following : public compute::LogFollowing {
 public:
  explicit Following(std::shared_ptr<http::StreamClient::Stream> stream) : stream_(std::move(stream)) {}
  void pause() override { stream_->pause(); }
  void resume() override { stream_->resume(); }

 private:
  std::shared_ptr<http::StreamClient::Stream> stream_;
};

}  // namespace

Result<Logs::Target> Logs::find(const std::string& name, Deadline deadline) {
  Target target{.path = BERTH_TRY(api_.container_path(name, deadline))};
  const auto document = BERTH_TRY(api_.get(target.path + "/json", Subject::of_container(name), deadline));
  target.terminal = document.root()["Config"]["Tty"].boolean().value_or(false);
  return target;
}

Result<std::string> Logs::read_log(const std::string& name, const compute::LogQuery& query, Deadline deadline) {
  const Target target = BERTH_TRY(find(name, deadline));
  const auto collector = std::make_shared<Collector>(target.terminal);
  const auto stream =
      BERTH_TRY(api_.open(streams_, http::Method::get, target.path + "/logs" + write_query(query, false), {}, false,
                          collector, Subject::of_container(name), deadline));
  return collector->wait(deadline);
}

Result<std::unique_ptr<compute::LogFollowing>> Logs::follow_log(const std::string& name, const compute::LogQuery& query,
                                                                std::shared_ptr<compute::LogReader> reader,
                                                                Deadline deadline) {
  const Target target = BERTH_TRY(find(name, deadline));
  auto stream = BERTH_TRY(api_.open(streams_, http::Method::get, target.path + "/logs" + write_query(query, true), {},
                                    false, std::make_shared<Follower>(std::move(reader), target.terminal),
                                    Subject::of_container(name), deadline));
  return std::unique_ptr<compute::LogFollowing>(std::make_unique<Following>(std::move(stream)));
}

}  // namespace berth::drivers::docker
