#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace berth::drivers::lxd {

using StringMap = std::map<std::string, std::string>;
/// Devices by name.
using DeviceMap = std::map<std::string, StringMap>;
/// A request's JSON object: LXD's keys hold dashes and dots, which no struct's members can.
using Body = std::map<std::string,
                      std::variant<bool, std::int64_t, std::string, std::vector<std::string>, StringMap, DeviceMap>>;

}  // namespace berth::drivers::lxd
