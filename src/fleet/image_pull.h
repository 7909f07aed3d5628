#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "compute/container_engine.h"

namespace berth::fleet {

/// Who we are to the registry of an image; nothing for nobody.
using CredentialSource = std::function<Result<std::optional<compute::RegistryCredentials>>(const std::string& image)>;

/// Brings an image with the credentials for its registry. Errors: unavailable "image.pull_failed" with the engine's
/// reason and what is known of our credentials; those that say nothing of the image (an engine that does not answer, a
/// pull that was cancelled, credentials that do not open) stay what they are.
Result<void> pull_image(compute::RegistryAbility& engine, const std::string& image, const CredentialSource& source,
                        const compute::EngineProgress& progress, Deadline deadline);

}  // namespace berth::fleet
