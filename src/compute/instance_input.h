#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compute/instance.h"
#include "json/describe.h"

namespace berth::compute {

/// What a record of an operation keeps, for its reconciler and to tell whether two are equal. Members that a
/// kind does not use are left out. Descriptions are never kept: they may hold a password.
struct OperationInput {
  std::string name;
  std::optional<std::optional<bool>> force{};
  std::optional<std::optional<std::string>> new_name{};
  std::optional<std::optional<std::string>> snapshot{};
  std::optional<std::optional<bool>> stateful{};
  std::optional<std::optional<std::string>> image{};
  std::optional<std::optional<bool>> start{};
  std::optional<std::optional<std::string>> type{};
  std::optional<std::optional<std::string>> owner{};
  std::optional<std::optional<double>> cpus{};
  std::optional<std::optional<std::uint64_t>> memory_bytes{};
  std::optional<std::optional<std::uint64_t>> disk_bytes{};
  /// Random where a description is part of it, so that two such operations are never taken for equal.
  std::optional<std::optional<std::string>> description_token{};
};
BOOST_DESCRIBE_STRUCT(OperationInput, (),
                      (name, force, new_name, snapshot, stateful, image, start, type, owner, cpus, memory_bytes,
                       disk_bytes, description_token))

/// What the audit log tells of a change beside its action and resource.
struct AuditDetails {
  std::optional<std::optional<bool>> force{};
  std::optional<std::optional<std::string>> new_name{};
  std::optional<std::optional<std::string>> snapshot{};
  std::optional<std::optional<std::string>> image{};
  std::optional<std::optional<std::string>> description{};  ///< its password masked
  std::optional<std::optional<double>> cpus{};
  std::optional<std::optional<std::uint64_t>> memory_bytes{};
  std::optional<std::optional<std::uint64_t>> disk_bytes{};
  std::optional<std::optional<std::vector<std::string>>> command{};
  std::optional<std::optional<std::string>> reason{};
};
BOOST_DESCRIBE_STRUCT(AuditDetails, (),
                      (force, new_name, snapshot, image, description, cpus, memory_bytes, disk_bytes, command, reason))

}  // namespace berth::compute
