#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace berth::compute {

/// How to get into an instance, as its description tells in the form
/// `<name> <ssh port> <root password> <nat first port> <nat last port>`.
struct InstanceAccess {
  std::optional<std::uint16_t> ssh_port;
  std::optional<std::string> root_password;
  std::optional<std::string> nat_ports;  ///< "30000-30025"
  bool operator==(const InstanceAccess&) const = default;
};

/// Reads any bytes; what does not fit is absent. The form is exactly five words, of which at least one port
/// is written in digits (else it is prose, and its third word is no password). A port counts from 1 to
/// 65535 in plain digits; the NAT range needs both of its ports, the first not above the last.
InstanceAccess parse_description(std::string_view description);

/// The description with its password word replaced by "***" wherever `parse_description` would find one;
/// also where more words follow the form, so that a remark behind it does not give the password away.
std::string mask_password(std::string_view description);

/// What a description is made from.
struct AccessWish {
  std::string name;
  std::uint16_t ssh_port = 0;
  std::string root_password;
  std::uint16_t nat_first = 0;
  std::uint16_t nat_last = 0;
};

/// Writes the form, so that `parse_description` reads the same back. Errors: invalid_argument
/// "instance.access" with every bad field ("ssh_port", "root_password", "nat_first", "nat_last"): a port 0, a
/// range that is upside down, a password that is empty, longer than 128 bytes, or not one printable word.
Result<std::string> make_description(const AccessWish& wish);

}  // namespace berth::compute
