#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <memory>
#include <mutex>

namespace berth::log {
namespace {

std::mutex configure_mutex;
Settings current;
std::atomic<Level> threshold{Level::warning};
std::shared_ptr<spdlog::logger> logger;  // guarded by configure_mutex; read through `shared_logger`

std::shared_ptr<spdlog::logger> make_logger(const Settings& settings) {
  spdlog::sink_ptr sink;
  if (settings.file.empty()) {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  } else {
    sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(settings.file);
  }
  auto made = std::make_shared<spdlog::logger>("berth", std::move(sink));
  made->set_level(spdlog::level::debug);
  made->flush_on(spdlog::level::warn);
  // The line's own fields are put together in `write`; the sink adds only the time, in UTC.
  made->set_formatter(std::make_unique<spdlog::pattern_formatter>(
      settings.format == Format::json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v})" : "%Y-%m-%dT%H:%M:%S.%eZ %v",
      spdlog::pattern_time_type::utc));
  return made;
}

std::shared_ptr<spdlog::logger> shared_logger(Format& format) {
  const std::lock_guard lock(configure_mutex);
  if (!logger) logger = make_logger(current);
  format = current.format;
  return logger;
}

std::string_view level_name(Level level) {
  switch (level) {
    case Level::debug: return "debug";
    case Level::info: return "info";
    case Level::warning: return "warning";
    case Level::error: return "error";
    case Level::off: return "off";
  }
  return "off";
}

void append_json_string(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20) {
      out += fmt::format("\\u{:04x}", byte);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

/// One line stays one line: a value from outside must not forge another entry.
std::string single_line(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  for (const char c : text) {
    if (c == '\n') {
      line += "\\n";
    } else if (c == '\r') {
      line += "\\r";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      line.push_back(' ');
    } else {
      line.push_back(c);
    }
  }
  return line;
}

bool ends_value(char c) {
  return c == ' ' || c == '"' || c == '\'' || c == ',' || c == '&' || c == '}' || c == ')' || c == ';' ||
         c == '\n' || c == '\r';
}

}  // namespace

std::string redact(std::string_view message) {
  // Each mark is followed by the value to hide; what is compared is lower case.
  static constexpr std::array<std::string_view, 12> kMarks = {
      "bearer ",     "password=",   "password\":\"", "token=",        "token\":\"",      "secret=",
      "secret\":\"", "x-api-key: ", "api_key=",      "api_key\":\"",  "private_key\":\"", "otp\":\""};
  std::string lower(message);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  std::string out;
  out.reserve(message.size());
  std::size_t at = 0;
  while (at < message.size()) {
    bool hidden = false;
    for (const auto mark : kMarks) {
      if (lower.compare(at, mark.size(), mark) != 0) continue;
      out.append(message.substr(at, mark.size()));
      at += mark.size();
      const std::size_t start = at;
      while (at < message.size() && !ends_value(message[at])) ++at;
      if (at > start) out += "[redacted]";
      hidden = true;
      break;
    }
    if (!hidden) out.push_back(message[at++]);
  }
  return out;
}

void configure(const Settings& settings) {
  auto made = make_logger(settings);
  const std::lock_guard lock(configure_mutex);
  if (logger) logger->flush();
  logger = std::move(made);
  current = settings;
  threshold = settings.level;
}

void reopen() {
  Settings settings;
  {
    const std::lock_guard lock(configure_mutex);
    settings = current;
  }
  configure(settings);
}

void flush() {
  Format format{};
  shared_logger(format)->flush();
}

bool enabled(Level level) { return level >= threshold.load(std::memory_order_relaxed); }

void write(Level level, std::string_view part, std::string_view message) {
  if (!enabled(level)) return;
  Format format{};
  const auto target = shared_logger(format);
  std::string line;
  if (format == Format::json) {
    line = fmt::format(R"("level":"{}","part":"{}","message":)", level_name(level), part);
    append_json_string(line, redact(message));
  } else {
    line = fmt::format("{:<7} {:<10} {}", level_name(level), part, single_line(redact(message)));
  }
  target->log(level >= Level::warning ? spdlog::level::warn : spdlog::level::info, line);
}

}  // namespace berth::log
