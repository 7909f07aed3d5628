#include "fleet/image_pull.h"

#include <fmt/format.h>

namespace berth::fleet {
namespace {

/// What to do about a registry that does not let us in.
Text advice(const std::string& image, bool credentials) {
  const std::string registry = compute::registry_of(image);
  if (credentials) {
    return {fmt::format("（{} 拒绝了已保存的凭据）", registry),
            fmt::format(" (the stored credentials for {} were refused)", registry)};
  }
  return {fmt::format("（没有保存 {} 的凭据）", registry),
          fmt::format(" (no credentials for {} are stored)", registry)};
}

/// "engine.unavailable" and its like say nothing of the image, so they stay what they are.
Error pull_failed(const std::string& image, bool credentials, const Error& error) {
  if (error.reason() == "engine.unavailable" || error.reason() == "engine.timeout" ||
      error.code() == ErrorCode::cancelled) {
    return error;
  }
  const auto told = [&](const std::string& message) { return error.detail().empty() ? message : error.detail(); };
  const Text hint = error.reason() == "registry.denied" ? advice(image, credentials) : Text{};
  return Error(ErrorCode::unavailable, "image.pull_failed",
               {fmt::format("无法拉取镜像 {}：{}{}", image, told(error.message().zh), hint.zh),
                fmt::format("Cannot pull image {}: {}{}", image, told(error.message().en), hint.en)})
      .with_detail(error.describe());
}

}  // namespace

Result<void> pull_image(compute::RegistryAbility& engine, const std::string& image, const CredentialSource& source,
                        const compute::EngineProgress& progress, Deadline deadline) {
  const auto credentials = BERTH_TRY(source(image));
  const auto pulled = engine.pull(image, credentials, progress, deadline);
  if (!pulled) return pull_failed(image, credentials.has_value(), pulled.error());
  return {};
}

}  // namespace berth::fleet
