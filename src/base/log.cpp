#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>

#include "base/encoding.h"

namespace berth::log {
namespace {

std::mutex configure_mutex;
Settings current;
std::atomic<Level> threshold{Level::warning};
std::shared_ptr<spdlog::logger> logger;  // guarded by configure_mutex; read through `shared_logger`

/// The sink of the settings; standard error if its file cannot be opened, and then `problem` says why.
spdlog::sink_ptr make_sink(const Settings& settings, std::string& problem) {
  if (!settings.file.empty()) {
    try {
      return std::make_shared<spdlog::sinks::basic_file_sink_mt>(settings.file);
    } catch (const spdlog::spdlog_ex& exception) {
      problem = exception.what();
    }
  }
  return std::make_shared<spdlog::sinks::stderr_sink_mt>();
}

std::shared_ptr<spdlog::logger> make_logger(const Settings& settings, std::string& problem) {
  spdlog::sink_ptr sink = make_sink(settings, problem);
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
  std::string problem;
  if (!logger) logger = make_logger(current, problem);
  format = current.format;
  return logger;
}

std::string_view level_name(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warning:
      return "warning";
    case Level::error:
      return "error";
    case Level::off:
      return "off";
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

/// Readers of the log may refuse it as a whole for one byte that is no UTF-8.
std::string valid_utf8(std::string text) {
  if (!is_utf8(text)) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }, '?');
  }
  return text;
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

}  // namespace

void configure(const Settings& settings) {
  std::string problem;
  auto made = make_logger(settings, problem);
  {
    const std::lock_guard lock(configure_mutex);
    if (logger) logger->flush();
    logger = std::move(made);
    current = settings;
    threshold = settings.level;
  }
  if (!problem.empty()) error("log", "logging to standard error instead: {}", problem);
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

bool enabled(Level level) {
  return level >= threshold.load(std::memory_order_relaxed);
}

void write(Level level, std::string_view part, std::string_view message) {
  if (!enabled(level)) return;
  Format format{};
  const auto target = shared_logger(format);
  std::string line;
  if (format == Format::json) {
    line = fmt::format(R"("level":"{}","part":"{}","message":)", level_name(level), part);
    append_json_string(line, valid_utf8(redact(message)));
  } else {
    line = fmt::format("{:<7} {:<10} {}", level_name(level), part, single_line(valid_utf8(redact(message))));
  }
  target->log(level >= Level::warning ? spdlog::level::warn : spdlog::level::info, line);
}

}  // namespace berth::log
