#pragma once

#include <string>

#include "base/result.h"
#include "compute/container.h"
#include "compute/instance.h"
#include "json/document.h"

namespace berth::drivers::docker {

/// Labels of ours on a container.
inline constexpr std::string_view kOwnerLabel = "berth.owner";
inline constexpr std::string_view kDescriptionLabel = "berth.description";
/// Marks which call made a container, so that cleaning up never touches one that was there before.
inline constexpr std::string_view kCreationLabel = "berth.creation";

/// On a container that has the network it got because none was wished.
inline constexpr std::string_view kDefaultNetworkLabel = "berth.default_network";

/// The body of a request for a new container. Networks beyond the first are joined after it; `default_network` is for
/// one that wishes none.
std::string write_creation(const compute::NewInstance& wish, const std::string& creation,
                           const std::string& default_network);

/// The body of a request that changes limits, "" if it would change nothing. `host` is the container's HostConfig.
/// Errors: unsupported "engine.unsupported" for what Docker cannot change in place.
Result<std::string> write_update(const compute::InstanceChange& change, json::View host);

/// The body of a request that changes when a container is started again.
std::string write_restart_policy(compute::RestartPolicy policy);

/// The limits of a container's HostConfig.
compute::InstanceLimits decode_limits(json::View host);

/// What a container was made from: its inspection without what its image (the inspection's, or nothing) gives by
/// itself.
compute::ContainerSettings decode_settings(json::View container, json::View image);
/// Errors: internal "engine.protocol".
Result<compute::ContainerDetail> decode_detail(json::View container, json::View image);

}  // namespace berth::drivers::docker
