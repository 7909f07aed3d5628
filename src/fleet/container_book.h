#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "compute/inventory.h"
#include "fleet/container_rows.h"
#include "fleet/container_service.h"

namespace berth::fleet {

/// Everything that a list shows, at one revision. Immutable.
struct ContainerView {
  std::uint64_t revision = 0;                ///< grows with everything but counters
  std::vector<ContainerPointer> containers;  ///< by name

  /// By binary search; null if there is none.
  ContainerPointer find(std::string_view name) const;
};

using ContainerViewPointer = std::shared_ptr<const ContainerView>;

/// The catalog's rows joined with what the servers' inventories show, in memory. A change of one container costs the
/// copy of a list of pointers; what did not change stays the same object. Thread-safe; readers wait for nothing but
/// the copy of a pointer.
class ContainerBook {
 public:
  ContainerBook();

  // What the store holds, told after each commit.
  void put(const std::vector<RowPointer>& rows);
  void erase(ContainerId id);

  // What the servers show.
  void add_server(ServerId id, std::string name);
  void remove_server(ServerId id);
  /// A newer snapshot of a server that was added.
  void take(ServerId id, const compute::SnapshotPointer& snapshot);

  ContainerViewPointer view() const;
  ContainerPointer find(ContainerId id) const;
  RowPointer row(ContainerId id) const;
  std::vector<RowPointer> rows() const;
  /// All but the archived ones of a server.
  std::vector<RowPointer> rows_on(ServerId server) const;
  /// The instance that stands for a container now; null if its server shows none.
  compute::InstancePointer instance_of(ContainerId id) const;

  /// Where a server's snapshot and the rows do not fit.
  struct Differences {
    std::vector<compute::InstancePointer> unknown;  ///< no row has them
    std::vector<RowPointer> lost;                   ///< present or missing rows that it does not show
    std::vector<std::pair<RowPointer, compute::InstancePointer>> changed;  ///< made anew, or found again
    std::vector<RowPointer> unsettled;                                     ///< creating, or with a pending change
    std::vector<RowPointer> started;                                       ///< run, and were to be stopped
    bool doubtful = false;  ///< one is shown under two names: in the middle of a rename
  };
  /// Nothing while the server does not answer.
  Differences differences(ServerId server) const;

 private:
  struct Entry {
    RowPointer row;
    compute::InstancePointer instance;
    ContainerPointer shown;
  };
  struct Side {
    std::string name;
    compute::SnapshotPointer snapshot;
    std::map<std::string, ContainerId, std::less<>> by_engine_name;  ///< all but the archived
  };
  /// What changes in the view.
  struct Changes {
    std::vector<ContainerPointer> put;
    std::vector<std::string> gone;
    bool visible = false;  ///< anything but counters
  };

  Entry* entry_on(const Side& side, std::string_view engine_name);
  compute::InstancePointer look_up(const Side* side, const ContainerRow& row) const;
  Side* side_of(const ContainerRow& row);
  void unlink(const ContainerRow& row);
  /// Shows an entry anew.
  void refresh(Entry& entry, Changes& changes);
  void publish(Changes changes);

  mutable std::mutex mutex_;
  std::unordered_map<ContainerId, Entry> entries_;
  std::map<ServerId, Side> sides_;
  mutable std::mutex view_mutex_;
  ContainerViewPointer view_;
};

}  // namespace berth::fleet
