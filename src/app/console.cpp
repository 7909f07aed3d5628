#include "app/console.h"

#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <iostream>

namespace berth::app {
namespace {

/// Turns the terminal's echo off while it lives.
class EchoOff {
 public:
  EchoOff() {
    if (tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
  }
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;
  ~EchoOff() {
    if (changed_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  bool changed() const { return changed_; }

 private:
  termios before_{};
  bool changed_ = false;
};

bool read_standard_line(std::string& line, bool hidden) {
  if (!hidden) return static_cast<bool>(std::getline(std::cin, line));
  const EchoOff echo_off;
  const bool read = static_cast<bool>(std::getline(std::cin, line));
  if (echo_off.changed()) std::cerr << '\n';
  return read;
}

Error no_input() {
  return Error(ErrorCode::invalid_argument, "cli.no_input", {"没有输入", "there is no more input"});
}

}  // namespace

ExitCode exit_code(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::malformed:
      return ExitCode::usage;
    case ErrorCode::unauthenticated:
    case ErrorCode::permission_denied:
      return ExitCode::not_permitted;
    case ErrorCode::not_found:
      return ExitCode::not_found;
    case ErrorCode::unavailable:
    case ErrorCode::deadline_exceeded:
      return ExitCode::unavailable;
    case ErrorCode::already_exists:
    case ErrorCode::conflict:
    case ErrorCode::too_large:
    case ErrorCode::unsupported_media:
    case ErrorCode::method_not_allowed:
    case ErrorCode::rate_limited:
    case ErrorCode::cancelled:
    case ErrorCode::unsupported:
    case ErrorCode::exhausted:
    case ErrorCode::internal:
      return ExitCode::failure;
  }
  return ExitCode::failure;
}

Language environment_language(const Environment& environment) {
  for (const auto* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    const auto found = environment.find(name);
    if (found == environment.end() || found->second.empty()) continue;
    return found->second.starts_with("zh") ? Language::zh : Language::en;
  }
  return Language::en;
}

Console Console::standard() {
  auto environment = process_environment();
  const auto language = environment_language(environment);
  const auto no_color = environment.find("NO_COLOR");
  const bool colours = isatty(STDOUT_FILENO) == 1 && (no_color == environment.end() || no_color->second.empty());
  return {std::cout,         std::cerr, std::move(environment), language, colours, isatty(STDIN_FILENO) == 1,
          read_standard_line};
}

std::string Console::variable(std::string_view name) const {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

ExitCode Console::fail(const Error& error) {
  err << fmt::format("berth: {}\n", say(error.message()));
  for (const auto& field : error.fields()) err << fmt::format("  {}: {}\n", field.field, say(field.message));
  if (const auto wait = error.retry_after()) {
    err << say(
        {fmt::format("  请在 {} 秒后重试\n", wait->count()), fmt::format("  try again in {} s\n", wait->count())});
  }
  // Whoever runs the program may know what only the log may hold.
  if (!error.detail().empty()) err << fmt::format("  {}\n", error.detail());
  return exit_code(error.code());
}

Result<Secret> ask_secret(Console& console, const Text& question) {
  if (console.interactive) console.err << console.say(question) << std::flush;
  std::string line;
  if (!console.read_line(line, true)) return no_input();
  Secret secret(line);
  wipe(line);
  return secret;
}

Result<std::string> ask(Console& console, const Text& question) {
  if (console.interactive) console.err << console.say(question) << std::flush;
  std::string line;
  if (!console.read_line(line, false)) return no_input();
  return line;
}

Result<Secret> new_password(Console& console, const std::string& file, bool from_input) {
  if (!file.empty()) return read_secret_file(file);
  auto password = BERTH_TRY(ask_secret(console, {"新密码：", "New password: "}));
  if (from_input || !console.interactive) return password;
  const auto again = BERTH_TRY(ask_secret(console, {"再次输入：", "Once more: "}));
  if (!password.matches(again.reveal())) {
    return Error(ErrorCode::invalid_argument, "cli.passwords_differ", {"两次输入不一致", "the two passwords differ"});
  }
  return password;
}

}  // namespace berth::app
