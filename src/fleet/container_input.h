#pragma once

#include <map>
#include <optional>
#include <string>

#include "fleet/container_rows.h"
#include "json/describe.h"

namespace berth::fleet {

/// What a record of an operation keeps, for its reconciler and to tell whether two are equal. Settings are never
/// kept: an environment may hold a password.
struct ContainerInput {
  std::string name;
  std::optional<std::optional<bool>> force{};
  std::optional<std::optional<bool>> start{};
  /// Random where what is asked for is not written here, so that two such operations are never taken for equal.
  std::optional<std::optional<std::string>> token{};
  /// The id of the server that it moves to.
  std::optional<std::optional<std::int64_t>> to{};
};
BOOST_DESCRIBE_STRUCT(ContainerInput, (), (name, force, start, token, to))

/// What the audit log tells of a change beside its action and resource.
struct ContainerDetails {
  std::string name;
  std::optional<std::optional<std::string>> server{};
  std::optional<std::optional<std::string>> image{};
  std::optional<std::optional<std::string>> new_name{};
  std::optional<std::optional<bool>> force{};
  std::optional<std::optional<bool>> settings_changed{};
  std::optional<std::optional<double>> cpus{};
  std::optional<std::optional<std::uint64_t>> memory_bytes{};
  std::optional<std::optional<std::uint64_t>> disk_bytes{};
  std::optional<std::optional<std::int64_t>> owner{};
  /// Of a move: where it was before.
  std::optional<std::optional<std::string>> from{};
};
BOOST_DESCRIBE_STRUCT(ContainerDetails, (),
                      (name, server, image, new_name, force, settings_changed, cpus, memory_bytes, disk_bytes, owner,
                       from))

// Errors that several files of this folder give.
Error container_busy(const std::string& name);
Error container_right();
Error change_interrupted();
Error no_lease(const std::string& server);
Error remains_there(const std::string& server, const std::string& name);

/// Who acts when the service does something by itself.
audit::Origin system_origin();

/// Whether an engine's error leaves open what became of a call.
inline bool no_answer(const Error& error) {
  return error.code() == ErrorCode::unavailable || error.code() == ErrorCode::deadline_exceeded;
}

}  // namespace berth::fleet
