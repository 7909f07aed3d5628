#pragma once

#include <array>
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
  InstanceList();

  /// The whole list as one shared body.
  http::ContentPointer whole(const compute::SnapshotPointer& snapshot, const compute::Viewer& viewer, Secrets secrets);

  struct Page {
    std::string body;
    std::size_t total = 0;  ///< how many fit the filter, whatever the page
  };
  Page page(const compute::SnapshotPointer& snapshot, const compute::Viewer& viewer, Secrets secrets,
            const ListQuery& query);

 private:
  /// What is made from one structure of the inventory, for viewers with or without secrets: the texts at once, the
  /// rest when it is first asked for, since a page needs neither the whole list nor the owners.
  struct Prepared {
    Fragments fragments;
    std::once_flag all_once;
    http::ContentPointer all;  // for viewers who see everything
    std::once_flag owners_once;
    std::map<std::string, std::vector<std::size_t>> by_owner;  // positions in the snapshot
    std::mutex owned_mutex;
    std::map<std::string, http::ContentPointer> owned;  // guarded by owned_mutex
  };
  using PreparedPointer = std::shared_ptr<Prepared>;

  PreparedPointer current(Secrets secrets);
  PreparedPointer prepared(const compute::SnapshotPointer& snapshot, Secrets secrets);
  http::ContentPointer content_of(const Prepared& prepared, Secrets secrets, const std::string& owner,
                                  std::string body) const;
  static std::span<const std::size_t> owned_by(Prepared& prepared, const std::string& owner);
  static std::vector<std::size_t> select(Prepared& prepared, const compute::InventorySnapshot& snapshot,
                                         const compute::Viewer& viewer, const ListQuery& query);

  std::string epoch_;                       ///< of ETags: differs between runs, whose revisions begin anew
  std::array<PreparedPointer, 2> current_;  ///< by secrets; guarded by current_mutex_, held for a pointer's copy only
  std::mutex current_mutex_;
  std::mutex preparing_;  ///< held while one thread makes what the others then find
};

}  // namespace berth::api::lxd_panel
