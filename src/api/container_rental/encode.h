#pragma once

#include <optional>
#include <string_view>

#include "api/container_rental/wire.h"
#include "fleet/container_service.h"

namespace berth::api::container_rental {

/// The contract's word for a state: running, stopped, paused, restarting or error.
std::string_view status_word(const fleet::Container& container);
/// The state behind such a word; nothing if there is none.
std::optional<compute::Status> parse_status(std::string_view word);

ContainerState state_of(const fleet::Container& container);
ContainerInfo info_of(const fleet::Container& container);

enum class Secrets { hidden, shown };

/// What stands in the place of a value that is not shown.
inline constexpr std::string_view kMasked = "***";
ContainerDetail detail_of(const fleet::Container& container, Secrets secrets);

/// What a request asks for.
compute::ContainerSettings settings_of(const NewContainerRequest& request);
compute::InstanceLimits limits_of(const LimitsBody& body);

}  // namespace berth::api::container_rental
