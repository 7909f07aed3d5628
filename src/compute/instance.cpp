#include "compute/instance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/encoding.h"

namespace berth::compute {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

Error refused(std::string_view reason, std::string field, Text message) {
  Text for_field = message;
  return Error(ErrorCode::invalid_argument, reason, std::move(message))
      .with_field(std::move(field), std::move(for_field));
}

void check_bytes(const std::optional<std::uint64_t>& value, std::uint64_t least, const char* field,
                 std::vector<FieldError>& errors) {
  if (value && (*value < least || *value > kMaximumBytes)) {
    errors.push_back({field, {"必须在 1 MiB 到 1 PiB 之间", "Must be between 1 MiB and 1 PiB"}});
  }
}

}  // namespace

std::string_view name(Status status) {
  switch (status) {
    case Status::running:
      return "running";
    case Status::stopped:
      return "stopped";
    case Status::frozen:
      return "frozen";
    case Status::starting:
      return "starting";
    case Status::stopping:
      return "stopping";
    case Status::restarting:
      return "restarting";
    case Status::error:
      return "error";
    case Status::unresponsive:
      return "unresponsive";
  }
  return "error";
}

std::string_view name(InstanceType type) {
  return type == InstanceType::virtual_machine ? "virtual_machine" : "container";
}

Result<void> check_instance_name(std::string_view name) {
  const bool fits = !name.empty() && name.size() <= 63 && is_letter(name.front()) && name.back() != '-' &&
                    std::ranges::all_of(name, [](char c) { return is_letter(c) || is_digit(c) || c == '-'; });
  if (fits) return {};
  return refused("instance.name", "name",
                 {"实例名称必须由 1 到 63 个字母、数字或连字符组成，以字母开头，不能以连字符结尾",
                  "An instance name has 1 to 63 letters, digits or hyphens, begins with a letter and does not "
                  "end with a hyphen"});
}

Result<void> check_snapshot_name(std::string_view name) {
  const bool fits =
      !name.empty() && name.size() <= 63 && (is_letter(name.front()) || is_digit(name.front())) &&
      std::ranges::all_of(name, [](char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '_' || c == '.'; });
  if (fits) return {};
  return refused("snapshot.name", "name",
                 {"快照名称必须由 1 到 63 个字母、数字、连字符、下划线或点组成，以字母或数字开头",
                  "A snapshot name has 1 to 63 letters, digits, hyphens, underscores or dots and begins with a "
                  "letter or digit"});
}

Result<void> check_limits(const InstanceLimits& limits) {
  std::vector<FieldError> errors;
  if (limits.cpus && !(std::isfinite(*limits.cpus) && *limits.cpus >= 0.01 && *limits.cpus <= kMaximumCpus)) {
    errors.push_back({"cpus", {"必须在 0.01 到 4096 之间", "Must be between 0.01 and 4096"}});
  }
  check_bytes(limits.memory_bytes, kMinimumMemoryBytes, "memory_bytes", errors);
  check_bytes(limits.disk_bytes, kMinimumDiskBytes, "disk_bytes", errors);
  if (errors.empty()) return {};
  return Error(ErrorCode::invalid_argument, "instance.limits",
               {"资源限制超出允许范围", "A resource limit is out of range"})
      .with_fields(std::move(errors));
}

Result<void> check_description(std::string_view description) {
  const bool fits = description.size() <= kMaximumDescription && is_utf8(description) &&
                    std::ranges::none_of(description, [](char c) {
                      const auto byte = static_cast<unsigned char>(c);
                      return (byte < 0x20 && c != '\t' && c != '\n') || byte == 0x7f;
                    });
  if (fits) return {};
  return refused(
      "instance.description", "description",
      {"描述不能超过 4096 字节，且不能包含控制字符", "A description has at most 4096 bytes and no control characters"});
}

Error instance_not_found(std::string_view name) {
  return Error(ErrorCode::not_found, "instance.not_found",
               {fmt::format("实例 {} 不存在", name), fmt::format("Instance {} does not exist", name)});
}

Error engine_unavailable() {
  return Error(ErrorCode::unavailable, "engine.unavailable", {"引擎不可用", "The engine is not available"});
}

}  // namespace berth::compute
