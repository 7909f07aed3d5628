#include "api/lxd_panel/fragments.h"

namespace berth::api::lxd_panel {

Fragments::Fragments(compute::SnapshotPointer snapshot, const Fragments& before, const Encode& encode, const Same& same)
    : snapshot_(std::move(snapshot)) {
  const auto& instances = snapshot_->instances;
  texts_.reserve(instances.size());
  std::size_t old = 0;
  const std::size_t old_count = before.texts_.size();
  for (const auto& instance : instances) {
    // Both lists are sorted by name, so one walk over both finds every instance's earlier state.
    while (old < old_count && before.snapshot_->instances[old]->name < instance->name) ++old;
    const bool known = old < old_count && before.snapshot_->instances[old]->name == instance->name;
    if (known && (before.snapshot_->instances[old] == instance || same(*before.snapshot_->instances[old], *instance))) {
      texts_.push_back(before.texts_[old]);
    } else {
      texts_.push_back(std::make_shared<const std::string>(encode(*instance)));
      ++encoded_;
    }
  }
}

}  // namespace berth::api::lxd_panel
