#include <fmt/format.h>

#include <algorithm>

#include "app/configuration.h"
#include "app/configuration_keys.h"

namespace berth::app {
namespace {

constexpr std::size_t kWidth = 100;

/// Appends "# …" lines that end before the page's width.
void append_comment(std::string& out, std::string_view text) {
  std::string line = "#";
  while (!text.empty()) {
    const auto end = text.find(' ');
    const auto word = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.size() + 1 + word.size() > kWidth) {
      out += line + "\n";
      line = "#";
    }
    line += fmt::format(" {}", word);
  }
  out += line + "\n";
}

std::string header_of(const Section& section) {
  switch (section.repetition) {
    case Repetition::list:
      return fmt::format("#[[{}]]\n", section.name);
    case Repetition::named:
      return fmt::format("#[{}.lxd]\n", section.name);
    case Repetition::once:
      break;
  }
  return fmt::format("#[{}]\n", section.name);
}

struct Line {
  std::string text;
  std::string_view origin;
};

}  // namespace

std::string configuration_reference() {
  std::string out =
      "# Configuration of Berth. Every key is shown with its default; a line takes effect when its '#' and its\n"
      "# section's '#' are removed. Each key can be set by the environment too: server.threads by\n"
      "# BERTH_SERVER_THREADS, listener.0.port by BERTH_LISTENER_0_PORT, engine.lxd.socket by\n"
      "# BERTH_ENGINE_LXD_SOCKET; arrays with commas, mounts as contract=prefix. `berth config check` checks this\n"
      "# file, `berth config show` prints what is in force and where it comes from.\n";
  for (const auto& section : configuration_sections()) {
    out += "\n";
    append_comment(out, section.meaning);
    out += header_of(section);
    for (const auto& key : configuration_keys()) {
      if (key.section != section.name) continue;
      out += "\n";
      append_comment(out, key.meaning);
      append_comment(out, fmt::format("Must be {}.{}", key.allowed.en,
                                      key.reload == Reload::with_signal ? " Read again on SIGHUP." : ""));
      out += fmt::format("#{} = {}\n", key.name, format_toml(*from_environment(key.fallback, key.shape)));
    }
  }
  return out;
}

std::string show_settings(const std::vector<Setting>& settings) {
  std::vector<Line> lines;
  std::string open_section;
  for (const auto& setting : settings) {
    const auto dot = setting.key.rfind('.');
    const auto section = setting.key.substr(0, dot);
    if (section != open_section) {
      if (!lines.empty()) lines.push_back({"", {}});
      const bool listener = section.starts_with("listener.");
      lines.push_back({listener ? "[[listener]]" : fmt::format("[{}]", section), {}});
      open_section = section;
    }
    lines.push_back({fmt::format("{} = {}", setting.key.substr(dot + 1), setting.value), setting.origin});
  }
  std::size_t width = 0;
  for (const auto& line : lines) {
    if (!line.origin.empty() && line.text.size() <= kWidth / 2) width = std::max(width, line.text.size());
  }
  std::string out;
  for (const auto& line : lines) {
    out += line.origin.empty() ? line.text + "\n" : fmt::format("{:<{}}  # {}\n", line.text, width, line.origin);
  }
  return out;
}

}  // namespace berth::app
