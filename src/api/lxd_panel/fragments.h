#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "compute/inventory.h"

namespace berth::api::lxd_panel {

/// The JSON text of each instance of one snapshot, aligned with it. Text of an instance that is still the same is
/// taken over from the fragments before, so a change of one costs the encoding of one. Immutable once made.
class Fragments {
 public:
  using Text = std::shared_ptr<const std::string>;
  using Encode = std::function<std::string(const compute::Instance&)>;
  using Same = std::function<bool(const compute::Instance&, const compute::Instance&)>;

  Fragments() = default;
  /// `same` tells whether two states of one instance have the same text.
  Fragments(compute::SnapshotPointer snapshot, const Fragments& before, const Encode& encode, const Same& same);

  const compute::SnapshotPointer& snapshot() const { return snapshot_; }
  const std::vector<Text>& texts() const { return texts_; }
  /// How many texts had to be made anew.
  std::size_t encoded() const { return encoded_; }

 private:
  compute::SnapshotPointer snapshot_;
  std::vector<Text> texts_;
  std::size_t encoded_ = 0;
};

}  // namespace berth::api::lxd_panel
