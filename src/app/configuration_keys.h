#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "app/configuration.h"
#include "base/text.h"

namespace berth::app {

/// A value as it was written, in the file, in the environment or as a default.
using Written =
    std::variant<std::string, std::int64_t, double, bool, std::vector<std::string>, std::vector<MountPlace>>;

/// How a value is written in TOML.
enum class Shape { text, integer, list, mounts };

/// Where a key's value goes: the listener and the engine are those of the key's own section.
struct Scope {
  Configuration& configuration;
  Configuration::Listener* listener = nullptr;
  Configuration::Engine* engine = nullptr;
};

enum class Repetition {
  once,   ///< [server]
  list,   ///< [[listener]]
  named,  ///< [engine.lxd]
};

struct Section {
  std::string_view name;
  Repetition repetition;
  std::string_view meaning;
};

enum class Reload { with_signal, with_restart };

/// The declaration of one key: what parse, environment, reference and `config show` are made from.
struct Key {
  std::string_view section;
  std::string_view name;
  std::string_view fallback;  ///< the default, as it would stand in the environment
  Shape shape;
  Text allowed;                                              ///< completes "must be …"
  std::function<bool(const Scope&, const Written&)> assign;  ///< false: the value is not allowed
  Reload reload;
  std::string_view meaning;
};

/// In the order of the reference; each key's section is one of these.
const std::vector<Section>& configuration_sections();
const std::vector<Key>& configuration_keys();

/// Null if there is none.
const Section* find_section(std::string_view name);
const Key* find_key(std::string_view section, std::string_view name);

/// Reads what stands in an environment variable; nothing if it cannot be of that shape.
std::optional<Written> from_environment(std::string_view text, Shape shape);
std::string format_toml(const Written& value);

/// Those of containers, rentals and mail; part of configuration_keys().
void add_rental_keys(std::vector<Key>& keys);

/// The contracts that this program serves.
const std::vector<std::string>& contract_names();

}  // namespace berth::app
