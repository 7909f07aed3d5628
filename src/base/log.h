#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace berth::log {

enum class Level { debug, info, warning, error, off };

enum class Format { text, json };

struct Settings {
  Level level = Level::info;
  Format format = Format::text;
  /// Empty: standard error (which systemd's journal takes). Else a file that is reopened by `reopen`.
  std::string file;
};

/// Sets up logging for the process. May be called again (SIGHUP). Until then warnings go to standard error;
/// so does everything if the file cannot be opened.
void configure(const Settings& settings);
/// Reopens the log file after it was rotated.
void reopen();
/// Waits until everything logged so far is written.
void flush();
bool enabled(Level level);

/// Writes one line. `part` names the folder that speaks ("store"). Secrets that look like tokens, keys or
/// passwords are replaced before anything is written. Thread-safe.
void write(Level level, std::string_view part, std::string_view message);

/// Replaces tokens, API keys, private keys, passwords in URLs and the values of names that tell of a secret
/// ("root_password=…", "Authorization: …"); what `write` does to each line.
std::string redact(std::string_view message);

template <class... Args>
void debug(std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, part, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, part, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warning(std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::warning)) write(Level::warning, part, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(std::string_view part, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::error)) write(Level::error, part, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace berth::log
