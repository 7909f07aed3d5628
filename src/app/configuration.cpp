#include "app/configuration.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <system_error>

#include "app/configuration_entries.h"
#include "app/configuration_values.h"
#include "base/read_file.h"

namespace berth::app {
namespace {

constexpr std::string_view kDefaultFile = "/etc/berth/berth.toml";
constexpr std::size_t kLargestFile = 1U << 20U;

std::string_view variable(const Environment& environment, std::string_view name) {
  const auto found = environment.find(name);
  return found == environment.end() ? std::string_view() : std::string_view(found->second);
}

/// Puts one configuration together from its layers and keeps what was wrong.
class Assembly {
 public:
  Assembly(ConfigurationEntries file, const ConfigurationSource& source) : source_(source), file_(std::move(file)) {
    if (file_.engines.empty()) file_.engines = {"lxd"};
    given_listeners_ = !file_.listeners.empty();
    if (!given_listeners_) file_.listeners = {"0", "1", "2", "3"};
    environment_ = read_environment(source.environment, file_.engines);
    problems_ = std::move(file_.problems);
    std::move(environment_.problems.begin(), environment_.problems.end(), std::back_inserter(problems_));
  }

  Result<LoadedConfiguration> finish() {
    for (const auto& section : configuration_sections()) {
      switch (section.repetition) {
        case Repetition::once:
          fill(section, "", {configuration_});
          break;
        case Repetition::list:
          fill_listeners(section);
          break;
        case Repetition::named:
          fill_engines(section);
          break;
      }
    }
    complete_places();
    if (problems_.empty()) check_together();
    if (!problems_.empty()) return failure();
    return LoadedConfiguration{std::move(configuration_), std::move(settings_), {}};
  }

 private:
  void fill_listeners(const Section& section) {
    auto items = merged(file_.listeners, environment_.listeners);
    std::sort(items.begin(), items.end(), [](const std::string& a, const std::string& b) {
      return a.size() != b.size() ? a.size() < b.size() : a < b;
    });
    configuration_.listeners.resize(items.size());
    for (std::size_t index = 0; index < items.size(); ++index) {
      fill(section, items[index], {configuration_, &configuration_.listeners[index]});
    }
  }

  void fill_engines(const Section& section) {
    for (const auto& item : merged(file_.engines, environment_.engines)) {
      fill(section, item, {configuration_, nullptr, &configuration_.engines[item]});
    }
  }

  static std::vector<std::string> merged(std::vector<std::string> items, const std::vector<std::string>& more) {
    for (const auto& item : more) {
      if (std::find(items.begin(), items.end(), item) == items.end()) items.push_back(item);
    }
    return items;
  }

  void fill(const Section& section, const std::string& item, const Scope& scope) {
    for (const auto& key : configuration_keys()) {
      if (key.section != section.name) continue;
      const auto entry = strongest(key, item);
      if (!key.assign(scope, entry.value)) {
        report(entry.origin, key_path(key, item), must_be(key));
        continue;
      }
      settings_.push_back(
          {key_path(key, item), format_toml(entry.value), entry.origin, key.reload == Reload::with_signal});
    }
  }

  ConfigurationEntry strongest(const Key& key, const std::string& item) const {
    for (const auto* layer : {&environment_.entries, &file_.entries}) {
      for (const auto& entry : *layer) {
        if (entry.key == &key && entry.item == item) return entry;
      }
    }
    if (auto file = credential(key); !file.empty()) {
      return {&key, item, file, "credential " + credential_name(key)};
    }
    const auto fallback = key.section == "listener" && !given_listeners_ ? default_listener(key, item) : key.fallback;
    return {&key, item, *from_environment(fallback, key.shape), "default"};
  }

  /// The listeners of a configuration that names none: both loopback addresses with the contracts that share port
  /// 8000, and both with container-rental at its document's own address.
  static std::string_view default_listener(const Key& key, const std::string& item) {
    const bool rental = item == "2" || item == "3";
    if (key.name == "address" && (item == "1" || item == "3")) return "::1";
    if (key.name == "port" && rental) return "5000";
    if (key.name == "mounts" && rental) return "container-rental=";
    return key.fallback;
  }

  static std::string credential_name(const Key& key) {
    return fmt::format("{}.{}", key.section, key.name.substr(0, key.name.size() - std::string_view("_file").size()));
  }

  /// The file of a systemd credential that stands for this key; "" if there is none.
  std::string credential(const Key& key) const {
    const auto folder = variable(source_.environment, "CREDENTIALS_DIRECTORY");
    if (folder.empty() || !key.name.ends_with("_file")) return "";
    auto file = fmt::format("{}/{}", folder, credential_name(key));
    std::error_code ignored;
    return std::filesystem::is_regular_file(file, ignored) ? file : "";
  }

  /// Fills in the places that follow from others.
  void complete_places() {
    complete("state.folder", configuration_.state.folder, default_state_folder());
    const auto& folder = configuration_.state.folder;
    complete("store.file", configuration_.store.file, folder / "berth.db");
    complete("store.backups", configuration_.store.backups, folder / "backups");
    complete("containers.archives", configuration_.containers.archives, folder / "archives");
    complete("identity.sealing_key_file", configuration_.identity.sealing_key_file, folder / "sealing.key");
  }

  void complete(std::string_view key, std::filesystem::path& place, const std::filesystem::path& fallback) {
    if (!place.empty()) return;
    place = fallback;
    for (auto& setting : settings_) {
      if (setting.key == key) setting.value = quote_toml(place.string());
    }
  }

  std::filesystem::path default_state_folder() const {
    // systemd joins several state directories by ':'; the unit has one.
    const auto given = variable(source_.environment, "STATE_DIRECTORY");
    if (!given.empty()) return given.substr(0, given.find(':'));
    if (source_.root) return "/var/lib/berth";
    const auto state_home = variable(source_.environment, "XDG_STATE_HOME");
    if (state_home.starts_with('/')) return std::filesystem::path(state_home) / "berth";
    const auto home = variable(source_.environment, "HOME");
    if (home.starts_with('/')) return std::filesystem::path(home) / ".local" / "state" / "berth";
    return "/var/lib/berth";
  }

  void check_together() {
    check_listeners();
    check_engines();
    if (configuration_.store.dialect == store::Dialect::postgresql && configuration_.store.postgresql_file.empty()) {
      report_key("store.dialect",
                 {"使用 PostgreSQL 时必须设置 store.postgresql_file", "PostgreSQL needs store.postgresql_file"});
    }
    if (!configuration_.engines.contains(configuration_.panel.engine)) {
      std::string all;
      for (const auto& [name, engine] : configuration_.engines) all += (all.empty() ? "" : ", ") + name;
      report_key("panel.engine",
                 {fmt::format("没有名为 {} 的引擎；已配置：{}", configuration_.panel.engine, all),
                  fmt::format("there is no engine {}; configured are: {}", configuration_.panel.engine, all)});
    }
  }

  void check_listeners() {
    std::set<std::pair<std::string, std::uint16_t>> taken;
    for (std::size_t index = 0; index < configuration_.listeners.size(); ++index) {
      const auto& listener = configuration_.listeners[index];
      const auto path = fmt::format("listener.{}", index);
      if (listener.tls_certificate.empty() != listener.tls_key.empty()) {
        report_key(path + (listener.tls_key.empty() ? ".tls_certificate" : ".tls_key"),
                   {"tls_certificate 与 tls_key 必须同时设置", "tls_certificate and tls_key belong together"});
      }
      if (!taken.insert({listener.address, listener.port}).second) {
        report_key(path + ".address",
                   {fmt::format("{} 端口 {} 重复", listener.address, listener.port),
                    fmt::format("{} port {} is already listened on", listener.address, listener.port)});
      }
      std::set<std::string> prefixes;
      for (const auto& mount : listener.mounts) {
        if (prefixes.insert(mount.prefix).second) continue;
        report_key(path + ".mounts", {fmt::format("路径 \"{}\" 重复", mount.prefix),
                                      fmt::format("two contracts under \"{}\"", mount.prefix)});
      }
    }
  }

  void check_engines() {
    for (const auto& [name, engine] : configuration_.engines) {
      const auto path = fmt::format("engine.{}", name);
      if (!engine.url.empty() && !engine.socket.empty()) {
        report_key(path + ".url", {"url 与 socket 只能设置其一", "url and socket exclude each other"});
      }
      if (!engine.url.empty() && (engine.client_certificate.empty() || engine.client_key.empty())) {
        report_key(path + ".url", {"远程 LXD 需要 client_certificate 和 client_key",
                                   "a remote LXD needs client_certificate and client_key"});
      }
    }
  }

  void report_key(const std::string& key, Text message) {
    const auto setting = std::find_if(settings_.begin(), settings_.end(),
                                      [&](const Setting& candidate) { return candidate.key == key; });
    report(setting == settings_.end() ? "default" : setting->origin, key, std::move(message));
  }

  void report(const std::string& origin, const std::string& key, Text message) {
    ConfigurationProblem problem{0, 0, {fmt::format("{}: {}", origin, key), std::move(message)}};
    // "…:line:column" of a file sorts among the file's other problems.
    const auto column = origin.rfind(':');
    const auto line = column == std::string::npos || column == 0 ? std::string::npos : origin.rfind(':', column - 1);
    if (line != std::string::npos) {
      const auto numbers = std::pair(from_environment(origin.substr(line + 1, column - line - 1), Shape::integer),
                                     from_environment(origin.substr(column + 1), Shape::integer));
      if (numbers.first && numbers.second) {
        problem.line = static_cast<std::uint32_t>(std::get<std::int64_t>(*numbers.first));
        problem.column = static_cast<std::uint32_t>(std::get<std::int64_t>(*numbers.second));
      }
    }
    problems_.push_back(std::move(problem));
  }

  Error failure() {
    std::stable_sort(problems_.begin(), problems_.end(), [](const auto& a, const auto& b) {
      return std::pair(a.line, a.column) < std::pair(b.line, b.column);
    });
    std::vector<FieldError> fields;
    for (auto& problem : problems_) fields.push_back(std::move(problem.error));
    return Error(ErrorCode::invalid_argument, "configuration.invalid", {"配置有误", "the configuration is not valid"})
        .with_fields(std::move(fields));
  }

  const ConfigurationSource& source_;
  ConfigurationEntries file_;
  ConfigurationEntries environment_;
  bool given_listeners_ = false;
  Configuration configuration_;
  std::vector<Setting> settings_;
  std::vector<ConfigurationProblem> problems_;
};

Result<std::string> read_configuration(const std::filesystem::path& path) {
  auto text = read_file(path, kLargestFile);
  if (text) return text;
  if (text.error().code() == ErrorCode::too_large) {
    return Error(ErrorCode::too_large, "configuration.too_large",
                 {fmt::format("配置文件 {} 过大", path.string()),
                  fmt::format("the configuration file {} is too large", path.string())});
  }
  return Error(ErrorCode::not_found, "configuration.missing",
               {fmt::format("无法读取配置文件 {}", path.string()),
                fmt::format("cannot read the configuration file {}", path.string())})
      .with_detail(text.error().detail());
}

}  // namespace

Result<LoadedConfiguration> parse_configuration(std::string_view text, std::string_view name,
                                                const ConfigurationSource& source) {
  return Assembly(read_toml(text, name), source).finish();
}

Result<LoadedConfiguration> load_configuration(const ConfigurationSource& source) {
  auto file = source.file;
  if (file.empty()) file = variable(source.environment, "BERTH_CONFIG");
  if (file.empty()) {
    std::error_code ignored;
    if (!std::filesystem::exists(kDefaultFile, ignored)) return parse_configuration("", "", source);
    file = kDefaultFile;
  }
  const auto text = BERTH_TRY(read_configuration(file));
  auto loaded = BERTH_TRY(parse_configuration(text, file.string(), source));
  loaded.file = file;
  return loaded;
}

ConfigurationChange compare_settings(const std::vector<Setting>& before, const std::vector<Setting>& after) {
  std::map<std::string, const Setting*> old;
  for (const auto& setting : before) old[setting.key] = &setting;
  ConfigurationChange change;
  const auto note = [&](const Setting& setting) {
    (setting.reloadable ? change.reloadable : change.needs_restart).push_back(setting.key);
  };
  for (const auto& setting : after) {
    const auto found = old.find(setting.key);
    if (found == old.end() || found->second->value != setting.value) note(setting);
    if (found != old.end()) old.erase(found);
  }
  for (const auto& [key, setting] : old) note(*setting);
  return change;
}

}  // namespace berth::app
