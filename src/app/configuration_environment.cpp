#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "app/configuration_entries.h"
#include "app/configuration_values.h"

namespace berth::app {
namespace {

constexpr std::size_t kMostListeners = 64;

/// "engine.lxd-2" as it stands in a variable: "ENGINE_LXD_2".
std::string in_variable(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (c >= 'a' && c <= 'z') {
      c = static_cast<char>(c - 'a' + 'A');
    } else if (c == '.' || c == '-') {
      c = '_';
    }
  }
  return out;
}

std::string engine_of(std::string_view variable_part, const std::vector<std::string>& engines) {
  for (const auto& engine : engines) {
    if (in_variable(engine) == variable_part) return engine;
  }
  std::string name(variable_part);
  for (char& c : name) {
    if (c >= 'A' && c <= 'Z') {
      c = static_cast<char>(c - 'A' + 'a');
    } else if (c == '_') {
      c = '-';
    }
  }
  return name;
}

bool is_listener_index(std::string_view text) {
  std::size_t index = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), index);
  return problem == std::errc() && end == text.data() + text.size() && index < kMostListeners &&
         text == std::to_string(index);
}

struct Target {
  const Key* key = nullptr;
  std::string item;
};

/// The key that a variable of the section (its name without "BERTH_ENGINE_") is for. The longest key wins, so
/// that CLIENT_KEY is not read as the key "key" of an engine "client".
Target find_in_section(const Section& section, std::string_view rest, const std::vector<std::string>& engines) {
  Target best;
  for (const auto& key : configuration_keys()) {
    if (key.section != section.name) continue;
    const auto name = in_variable(key.name);
    if (section.repetition == Repetition::once) {
      if (rest == name) return {&key, ""};
      continue;
    }
    if (rest.size() <= name.size() + 1 || !rest.ends_with("_" + name)) continue;
    const auto item = rest.substr(0, rest.size() - name.size() - 1);
    if (section.repetition == Repetition::list && !is_listener_index(item)) continue;
    if (best.key != nullptr && best.key->name.size() >= key.name.size()) continue;
    best = {&key, section.repetition == Repetition::list ? std::string(item) : engine_of(item, engines)};
  }
  return best;
}

void add_item(const Target& target, ConfigurationEntries& out) {
  auto* items = target.key->section == "listener" ? &out.listeners
                : target.key->section == "engine" ? &out.engines
                                                  : nullptr;
  if (items == nullptr || std::find(items->begin(), items->end(), target.item) != items->end()) return;
  items->push_back(target.item);
}

void report_unknown(const std::string& variable, ConfigurationEntries& out) {
  std::vector<std::string> candidates;
  for (const auto& key : configuration_keys()) {
    const auto* section = find_section(key.section);
    const auto* item = section->repetition == Repetition::list    ? "0"
                       : section->repetition == Repetition::named ? "lxd"
                                                                  : "";
    candidates.push_back(variable_name(key, item));
  }
  Text message{"没有对应的配置键", "stands for no key"};
  if (const auto meant = nearest_name(variable, candidates)) {
    message.zh += fmt::format("，是否想写 {}？", *meant);
    message.en += fmt::format("; did you mean {}?", *meant);
  }
  out.problems.push_back({0, 0, {variable, std::move(message)}});
}

}  // namespace

std::string key_path(const Key& key, std::string_view item) {
  return item.empty() ? fmt::format("{}.{}", key.section, key.name)
                      : fmt::format("{}.{}.{}", key.section, item, key.name);
}

std::string variable_name(const Key& key, std::string_view item) {
  return "BERTH_" + in_variable(key_path(key, item));
}

Text must_be(const Key& key) {
  return {fmt::format("应为{}", key.allowed.zh), fmt::format("must be {}", key.allowed.en)};
}

ConfigurationEntries read_environment(const Environment& environment, const std::vector<std::string>& engines) {
  ConfigurationEntries out;
  for (const auto& [variable, text] : environment) {
    Target target;
    bool ours = false;
    for (const auto& section : configuration_sections()) {
      const auto prefix = fmt::format("BERTH_{}_", in_variable(section.name));
      if (!variable.starts_with(prefix)) continue;
      ours = true;
      target = find_in_section(section, std::string_view(variable).substr(prefix.size()), engines);
      if (target.key != nullptr) break;
    }
    if (!ours) continue;
    if (target.key == nullptr) {
      report_unknown(variable, out);
      continue;
    }
    auto value = from_environment(text, target.key->shape);
    if (!value) {
      out.problems.push_back({0, 0, {variable, must_be(*target.key)}});
      continue;
    }
    add_item(target, out);
    out.entries.push_back({target.key, target.item, std::move(*value), variable});
  }
  return out;
}

Environment process_environment() {
  Environment environment;
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

ConfigurationSource process_source(std::filesystem::path file) {
  return {std::move(file), process_environment(), geteuid() == 0};
}

}  // namespace berth::app
