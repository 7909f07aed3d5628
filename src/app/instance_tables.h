#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/lxd_panel/wire.h"
#include "app/table.h"

namespace berth::app {

Colour status_colour(std::string_view status);

/// The table of `berth instances list`.
Table list_table(const std::vector<api::lxd_panel::InstanceInfo>& instances);
/// The table of `berth instances watch`.
Table watch_table(const std::vector<api::lxd_panel::MonitoredInstance>& instances);
/// What `berth instances show` prints: one "Title: value" per line.
std::string detail_text(const api::lxd_panel::InstanceDetail& detail, bool colours);

}  // namespace berth::app
