#include "drivers/fake/log_feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace berth::drivers::fake {
namespace {

constexpr std::size_t kLongestLog = 1UL << 20U;

/// RFC 3339 with a fraction, as Docker writes it.
std::string stamp(Timestamp at) {
  std::string text = format_utc(at);
  text.pop_back();
  return fmt::format("{}.{:06}Z ", text, at.time_since_epoch().count() % 1'000'000);
}

std::string tail_of(std::string log, std::optional<std::uint32_t> lines) {
  if (!lines) return log;
  std::size_t at = log.size();
  for (std::uint32_t left = *lines; at > 0; --at) {
    // The end of the last line ends no other one.
    if (log[at - 1] == '\n' && at != log.size() && --left == 0) break;
  }
  return *lines == 0 ? "" : log.substr(at);
}

}  // namespace

std::string shown(const compute::LogQuery& query, Timestamp at, std::string_view text) {
  if (!query.timestamps) return std::string(text);
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    out += stamp(at);
    out += text.substr(0, end);
    text.remove_prefix(end);
  }
  return out;
}

void ContainerLog::write(Timestamp at, std::string text) {
  bytes_ += text.size();
  pieces_.push_back({at, std::move(text)});
  while (bytes_ > kLongestLog && pieces_.size() > 1) {
    bytes_ -= pieces_.front().text.size();
    pieces_.pop_front();
  }
}

std::string ContainerLog::read(const compute::LogQuery& query) const {
  std::string log;
  for (const Piece& piece : pieces_) {
    if ((query.since && piece.at < *query.since) || (query.until && piece.at > *query.until)) continue;
    log += shown(query, piece.at, piece.text);
  }
  return tail_of(std::move(log), query.tail);
}

LogFeed::LogFeed(compute::LogQuery query, std::shared_ptr<compute::LogReader> reader,
                 std::shared_ptr<Dispatcher> dispatcher)
    : query_(std::move(query)), dispatcher_(std::move(dispatcher)), reader_(std::move(reader)) {}

void LogFeed::write(Timestamp at, const std::string& text) {
  write_as_shown(shown(query_, at, text));
}

void LogFeed::write_as_shown(std::string text) {
  dispatcher_->post([self = shared_from_this(), text = std::move(text)] {
    const std::lock_guard lock(self->mutex_);
    self->waiting_ += text;
    if (self->waiting_.size() > kLongestLog) self->waiting_.erase(0, self->waiting_.size() - kLongestLog);
    self->hand_over();
  });
}

void LogFeed::end(const Result<void>& outcome) {
  dispatcher_->post([self = shared_from_this(), outcome] {
    const std::lock_guard lock(self->mutex_);
    self->ending_ = outcome;
    self->hand_over();
  });
}

void LogFeed::pause() {
  dispatcher_->post([self = shared_from_this()] {
    const std::lock_guard lock(self->mutex_);
    self->paused_ = true;
  });
}

void LogFeed::resume() {
  dispatcher_->post([self = shared_from_this()] {
    const std::lock_guard lock(self->mutex_);
    self->paused_ = false;
    self->hand_over();
  });
}

void LogFeed::stop() {
  std::shared_ptr<compute::LogReader> gone;
  const std::lock_guard lock(mutex_);
  gone = std::move(reader_);
}

void LogFeed::hand_over() {
  if (paused_ || reader_ == nullptr) return;
  const auto reader = reader_;
  if (!waiting_.empty()) {
    reader->on_log(compute::LogReader::Stream::standard_output, std::exchange(waiting_, {}));
  }
  if (ending_ && reader_ != nullptr) {
    reader_.reset();
    reader->on_end(*ending_);
  }
}

}  // namespace berth::drivers::fake
