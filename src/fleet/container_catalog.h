#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "fleet/container_book.h"
#include "fleet/container_rows.h"
#include "store/database.h"

namespace berth::fleet {

/// The rows of all containers, in the store and, after each commit, in the book. Thread-safe; changes wait for the
/// store.
class ContainerCatalog {
 public:
  ContainerCatalog(store::Database& database, const identity::Sealing& sealing, const Clock& clock)
      : database_(database), sealing_(sealing), clock_(clock) {}

  /// Reads every row into the book, and tells of environments that do not open.
  Result<void> load();

  ContainerBook& book() { return book_; }
  const ContainerBook& book() const { return book_; }
  store::Database& database() { return database_; }

  /// Alters a row within its transaction, which may run again; an error leaves everything as it was.
  using Mutation = std::function<Result<void>(store::Transaction&, ContainerRow&)>;

  /// Adds a row and takes its name; `also` runs in the same transaction. Errors: already_exists "container.exists".
  Result<RowPointer> add(ContainerRow row, const Mutation& also = {});
  /// Completes a row before it is added, told which one it is; false leaves it out.
  using Preparation = std::function<Result<bool>(store::Transaction&, ContainerRow&, std::size_t index)>;
  /// Adds several in one transaction; `also` runs after each that was added.
  Result<void> add_all(const std::vector<ContainerRow>& rows, const Preparation& prepare, const Mutation& also);
  /// Reads, alters and writes one row. Errors: not_found "container.not_found", and those of `mutate`.
  Result<RowPointer> change(ContainerId id, const Mutation& mutate);
  /// Removing one that is gone succeeds.
  Result<void> remove(ContainerId id, const std::function<Result<void>(store::Transaction&)>& also = {});

 private:
  void remember(const std::vector<ContainerId>& ids);

  store::Database& database_;
  const identity::Sealing& sealing_;
  const Clock& clock_;
  ContainerBook book_;
  /// Held from a read of rows until the book has them, so that the book never goes back to an older state.
  std::mutex remember_mutex_;
};

}  // namespace berth::fleet
