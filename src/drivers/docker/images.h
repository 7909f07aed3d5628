#pragma once

#include <string>
#include <utility>

#include "compute/container_engine.h"
#include "drivers/docker/api.h"
#include "http/stream_client.h"

namespace berth::drivers::docker {

/// A reference as Docker's API takes it: what it calls the image (with a digest's '@' kept apart) and the tag or
/// digest; "latest" where there is neither, for without one Docker would bring all tags.
std::pair<std::string, std::string> split_reference(std::string_view reference);

/// What a line of a pull's progress says; kept over all lines. Not thread-safe.
class PullProgress {
 public:
  /// One line of JSON. Returns the engine's reason if it is a failure's.
  std::optional<std::string> take(std::string_view line);
  /// 0 to 100, by the bytes of all layers known so far; never less than before.
  int percent();
  const std::string& stage() const { return stage_; }

 private:
  struct Layer {
    std::uint64_t downloaded = 0;
    std::uint64_t extracted = 0;
    std::uint64_t total = 0;
  };
  std::map<std::string, Layer> layers_;
  std::string stage_ = "pull";
  int percent_ = 0;
};

/// The engine's images, and bringing more from registries. Thread-safe.
class Images : public compute::ImageAbility, public compute::RegistryAbility {
 public:
  Images(Api& api, http::StreamClient& streams) : api_(api), streams_(streams) {}
  Result<std::vector<compute::Image>> list_images(Deadline deadline) override;
  Result<void> remove_image(const std::string& image, Deadline deadline) override;
  Result<bool> has_image(const std::string& reference, Deadline deadline) override;
  Result<void> pull(const std::string& reference, const std::optional<compute::RegistryCredentials>& credentials,
                    const compute::EngineProgress& progress, Deadline deadline) override;

 private:
  Api& api_;
  http::StreamClient& streams_;
};

}  // namespace berth::drivers::docker
