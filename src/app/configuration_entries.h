#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "app/configuration_keys.h"
#include "base/error.h"

namespace berth::app {

/// A key that was given a value somewhere.
struct ConfigurationEntry {
  const Key* key;
  std::string item;  ///< the listener's index or the engine's name; "" in other sections
  Written value;
  std::string origin;  ///< "berth.toml:3:1" or the variable's name
};

/// Something wrong, and where, so that all of it can be told in the order of the file.
struct ConfigurationProblem {
  std::uint32_t line = 0;  ///< 0 where it is in no file
  std::uint32_t column = 0;
  FieldError error;
};

struct ConfigurationEntries {
  std::vector<ConfigurationEntry> entries;
  /// The listeners' indexes and the engines' names that the source has sections for.
  std::vector<std::string> listeners;
  std::vector<std::string> engines;
  std::vector<ConfigurationProblem> problems;
};

/// "listener.0.port"
std::string key_path(const Key& key, std::string_view item);
/// "BERTH_LISTENER_0_PORT"
std::string variable_name(const Key& key, std::string_view item);
/// What to say about a value that is not allowed.
Text must_be(const Key& key);

/// Reads a TOML text; `name` stands for the file in messages.
ConfigurationEntries read_toml(std::string_view text, std::string_view name);
/// Reads the BERTH_ variables of an environment. `engines` are the names known so far, to tell
/// BERTH_ENGINE_LXD_2_SOCKET from a key of another name.
ConfigurationEntries read_environment(const Environment& environment, const std::vector<std::string>& engines);

}  // namespace berth::app
