#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "api/lxd_panel/encode.h"
#include "api/lxd_panel/fragments.h"
#include "base/result.h"
#include "compute/instance_service.h"
#include "http/message.h"

namespace berth::api::lxd_panel {

/// The answers of `GET /api/instances`. The whole list is put together once per revision and kind of viewer and
/// then only handed out; a page or a filtered list is joined from the instances' ready texts. Thread-safe.
class InstanceList {
 public:
  /// The whole list as one shared body.
  http::ContentPointer whole(const compute::SnapshotPointer& snapshot, const compute::Viewer& viewer,
                             Secrets secrets);

  struct Page {
    std::string body;
    std::size_t total = 0;  ///< how many fit the filter, whatever the page
  };
  Page page(const compute::SnapshotPointer& snapshot, const compute::Viewer& viewer, Secrets secrets,
            const ListQuery& query);

 private:
  /// Everything made from one structure of the inventory, for viewers with or without secrets.
  struct Prepared {
    Fragments fragments;
    http::ContentPointer all;                                          // for viewers who see everything
    std::map<std::string, std::vector<std::size_t>> by_owner;          // positions in the snapshot
    std::mutex owners_mutex;
    std::map<std::string, http::ContentPointer> owned;                 // guarded by owners_mutex
  };
  using PreparedPointer = std::shared_ptr<Prepared>;

  PreparedPointer prepared(const compute::SnapshotPointer& snapshot, Secrets secrets);
  static std::span<const std::size_t> owned_by(const Prepared& prepared, const std::string& owner);
  static std::vector<std::size_t> select(const Prepared& prepared, const compute::InventorySnapshot& snapshot,
                                         const compute::Viewer& viewer, const ListQuery& query);

  std::array<std::atomic<PreparedPointer>, 2> current_;
  std::mutex preparing_;
};

}  // namespace berth::api::lxd_panel
