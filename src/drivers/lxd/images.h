#pragma once

#include <string>
#include <vector>

#include "compute/engine.h"
#include "drivers/lxd/api.h"

namespace berth::drivers::lxd {

/// The images of the server. Thread-safe.
class Images : public compute::ImageAbility {
 public:
  explicit Images(Api& api) : api_(api) {}

  Result<std::vector<compute::Image>> list_images(Deadline deadline) override;
  Result<void> remove_image(const std::string& image, Deadline deadline) override;

  /// The whole fingerprint of what `image` names: an alias, a fingerprint or a beginning that only one has.
  Result<std::string> resolve(const std::string& image, Deadline deadline);

 private:
  Api& api_;
};

}  // namespace berth::drivers::lxd
