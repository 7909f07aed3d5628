#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>

#include "app/configuration_entries.h"
#include "app/configuration_values.h"

namespace berth::app {
namespace {

bool is_engine_name(std::string_view name) {
  return !name.empty() && name.size() <= 32 && name.front() != '-' && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::optional<std::vector<MountPlace>> read_mounts(const toml::array& array) {
  std::vector<MountPlace> mounts;
  for (const auto& element : array) {
    const auto* table = element.as_table();
    if (table == nullptr || table->size() != 2) return std::nullopt;
    const auto contract = (*table)["contract"].value_exact<std::string>();
    const auto prefix = (*table)["prefix"].value_exact<std::string>();
    if (!contract || !prefix) return std::nullopt;
    mounts.push_back({*contract, *prefix});
  }
  return mounts;
}

std::optional<std::vector<std::string>> read_list(const toml::array& array) {
  std::vector<std::string> list;
  for (const auto& element : array) {
    const auto text = element.value_exact<std::string>();
    if (!text) return std::nullopt;
    list.push_back(*text);
  }
  return list;
}

/// Nothing for what no key can be: dates, tables, mixed arrays.
std::optional<Written> read_value(const toml::node& node, Shape shape) {
  if (const auto* text = node.as_string()) return Written(text->get());
  if (const auto* number = node.as_integer()) return Written(number->get());
  if (const auto* number = node.as_floating_point()) return Written(number->get());
  if (const auto* flag = node.as_boolean()) return Written(flag->get());
  const auto* array = node.as_array();
  if (array == nullptr) return std::nullopt;
  if (shape == Shape::mounts) {
    auto mounts = read_mounts(*array);
    return mounts ? std::optional<Written>(std::move(*mounts)) : std::nullopt;
  }
  auto list = read_list(*array);
  return list ? std::optional<Written>(std::move(*list)) : std::nullopt;
}

/// Walks the tables of one file.
class TomlReader {
 public:
  TomlReader(std::string_view name, ConfigurationEntries& out) : name_(name), out_(out) {}

  void read(const toml::table& root) {
    for (const auto& [key, node] : root) {
      const auto* section = find_section(key.str());
      if (section == nullptr) {
        unknown(key, std::string(key.str()), section_names());
        continue;
      }
      switch (section->repetition) {
        case Repetition::once:
          read_once(*section, node);
          break;
        case Repetition::list:
          read_repeated(*section, node);
          break;
        case Repetition::named:
          read_named(*section, node);
          break;
      }
    }
  }

 private:
  void read_once(const Section& section, const toml::node& node) {
    if (const auto* table = node.as_table()) return read_keys(section, "", *table);
    problem(node.source(), std::string(section.name),
            {fmt::format("应写作 [{}] 表", section.name), fmt::format("must be a table: [{}]", section.name)});
  }

  void read_repeated(const Section& section, const toml::node& node) {
    const auto* array = node.as_array();
    const bool tables = array != nullptr && std::all_of(array->begin(), array->end(),
                                                        [](const toml::node& element) { return element.is_table(); });
    if (!tables) {
      return problem(node.source(), std::string(section.name),
                     {fmt::format("应写作 [[{}]]，每个一段", section.name),
                      fmt::format("must be tables, each under [[{}]]", section.name)});
    }
    for (const auto& element : *array) {
      auto item = std::to_string(out_.listeners.size());
      out_.listeners.push_back(item);
      read_keys(section, item, *element.as_table());
    }
  }

  void read_named(const Section& section, const toml::node& node) {
    const auto* table = node.as_table();
    if (table == nullptr) {
      return problem(node.source(), std::string(section.name),
                     {fmt::format("应写作 [{}.名称]", section.name),
                      fmt::format("must be tables, each under [{}.<name>]", section.name)});
    }
    for (const auto& [key, element] : *table) {
      const auto path = fmt::format("{}.{}", section.name, key.str());
      const auto* item = element.as_table();
      if (item == nullptr) {
        problem(
            key.source(), path,
            {fmt::format("应写作 [{}.名称]", section.name), fmt::format("belongs under [{}.<name>]", section.name)});
      } else if (!is_engine_name(key.str())) {
        problem(key.source(), path,
                {"名称只能用 1 到 32 个小写字母、数字和 '-'", "a name is 1 to 32 lower-case letters, digits and '-'"});
      } else {
        out_.engines.emplace_back(key.str());
        read_keys(section, std::string(key.str()), *item);
      }
    }
  }

  void read_keys(const Section& section, const std::string& item, const toml::table& table) {
    for (const auto& [name, node] : table) {
      const auto inner = fmt::format("{}.{}", section.name, name.str());
      if (const auto* nested = find_section(inner)) {
        read_once(*nested, node);
        continue;
      }
      const auto* key = find_key(section.name, name.str());
      if (key == nullptr) {
        const auto path = item.empty() ? inner : fmt::format("{}.{}.{}", section.name, item, name.str());
        unknown(name, path, key_names(section.name));
        continue;
      }
      auto value = read_value(node, key->shape);
      if (!value) {
        problem(node.source(), key_path(*key, item), must_be(*key));
        continue;
      }
      out_.entries.push_back({key, item, std::move(*value), place(name.source())});
    }
  }

  void unknown(const toml::key& key, const std::string& path, const std::vector<std::string>& candidates) {
    Text message{"没有这个键", "there is no such key"};
    if (const auto meant = nearest_name(key.str(), candidates)) {
      message.zh += fmt::format("，是否想写 {}？", *meant);
      message.en += fmt::format("; did you mean {}?", *meant);
    } else {
      std::string all;
      for (const auto& candidate : candidates) all += (all.empty() ? "" : ", ") + candidate;
      message.zh += fmt::format("；这里可用：{}", all);
      message.en += fmt::format("; here are: {}", all);
    }
    problem(key.source(), path, std::move(message));
  }

  static std::vector<std::string> section_names() {
    std::vector<std::string> names;
    for (const auto& section : configuration_sections()) {
      if (section.name.find('.') == std::string_view::npos) names.emplace_back(section.name);
    }
    return names;
  }

  static std::vector<std::string> key_names(std::string_view section) {
    std::vector<std::string> names;
    for (const auto& key : configuration_keys()) {
      if (key.section == section) names.emplace_back(key.name);
    }
    for (const auto& nested : configuration_sections()) {
      if (nested.name.starts_with(fmt::format("{}.", section))) {
        names.emplace_back(nested.name.substr(section.size() + 1));
      }
    }
    return names;
  }

  std::string place(const toml::source_region& source) const {
    return fmt::format("{}:{}:{}", name_, source.begin.line, source.begin.column);
  }

  void problem(const toml::source_region& source, const std::string& path, Text message) {
    out_.problems.push_back(
        {source.begin.line, source.begin.column, {fmt::format("{}: {}", place(source), path), std::move(message)}});
  }

  std::string_view name_;
  ConfigurationEntries& out_;
};

}  // namespace

ConfigurationEntries read_toml(std::string_view text, std::string_view name) {
  ConfigurationEntries out;
  try {
    const toml::table root = toml::parse(text);
    TomlReader(name, out).read(root);
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    out.problems.push_back({at.line,
                            at.column,
                            {fmt::format("{}:{}:{}: TOML", name, at.line, at.column),
                             {fmt::format("不是合法的 TOML：{}", error.description()),
                              fmt::format("is not valid TOML: {}", error.description())}}});
  }
  return out;
}

}  // namespace berth::app
