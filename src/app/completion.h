#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/command_line.h"

namespace berth::app {

/// The shells that `completion_script` writes for.
const std::vector<std::string>& completion_shells();

/// A completion script, made from the declared commands so that it cannot fall behind them. `shell` is one of
/// completion_shells().
std::string completion_script(const CommandShape& root, std::string_view shell);

}  // namespace berth::app
