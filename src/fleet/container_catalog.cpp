#include "fleet/container_catalog.h"

#include <utility>

#include "base/log.h"

namespace berth::fleet {

Result<void> ContainerCatalog::load() {
  const std::lock_guard remembering(remember_mutex_);
  const auto rows = BERTH_TRY(
      database_.read([&](store::Transaction& transaction) { return container_rows::all(transaction, sealing_); }));
  for (const auto& row : rows) {
    if (const auto opened = check_opened(row->desired, row->name); !opened) {
      log::error("fleet", "{}", opened.error().describe());
    }
  }
  book_.put(rows);
  return {};
}

void ContainerCatalog::remember(const std::vector<ContainerId>& ids) {
  const std::lock_guard remembering(remember_mutex_);
  using Found = std::vector<std::optional<RowPointer>>;
  const auto found = database_.read([&](store::Transaction& transaction) -> Result<Found> {
    Found rows;
    for (const ContainerId id : ids) rows.push_back(BERTH_TRY(container_rows::find(transaction, id, sealing_)));
    return rows;
  });
  if (!found) {
    log::error("fleet", "cannot read changed containers anew: {}", found.error().describe());
    return;
  }
  std::vector<RowPointer> rows;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if ((*found)[i]) {
      rows.push_back(*(*found)[i]);
    } else {
      book_.erase(ids[i]);
    }
  }
  book_.put(rows);
}

Result<RowPointer> ContainerCatalog::add(ContainerRow row, const Mutation& also) {
  row.created_at = row.updated_at = clock_.now();
  auto id = database_.write([&](store::Transaction& transaction) -> Result<ContainerId> {
    ContainerRow made = row;
    made.id = BERTH_TRY(container_rows::insert(transaction, made, sealing_));
    if (also) BERTH_CHECK(also(transaction, made));
    return made.id;
  });
  if (!id) {
    // Another node may have taken the name between the look and the writing.
    if (id.error().reason() == "store.unique") return container_exists(row.name);
    return take_error(id);
  }
  remember({*id});
  row.id = *id;
  return RowPointer(std::make_shared<const ContainerRow>(std::move(row)));
}

Result<void> ContainerCatalog::add_all(const std::vector<ContainerRow>& rows, const Preparation& prepare,
                                       const Mutation& also) {
  const Timestamp now = clock_.now();
  const auto added =
      BERTH_TRY(database_.write([&](store::Transaction& transaction) -> Result<std::vector<ContainerId>> {
        std::vector<ContainerId> ids;
        for (std::size_t i = 0; i < rows.size(); ++i) {
          ContainerRow row = rows[i];
          row.created_at = row.updated_at = now;
          if (!BERTH_TRY(prepare(transaction, row, i))) continue;
          row.id = BERTH_TRY(container_rows::insert(transaction, row, sealing_));
          BERTH_CHECK(also(transaction, row));
          ids.push_back(row.id);
        }
        return ids;
      }));
  remember(added);
  return {};
}

Result<RowPointer> ContainerCatalog::change(ContainerId id, const Mutation& mutate) {
  auto changed = BERTH_TRY(database_.write([&](store::Transaction& transaction) -> Result<RowPointer> {
    const auto found = BERTH_TRY(container_rows::find(transaction, id, sealing_));
    if (!found) return container_not_found(std::to_string(id.value()));
    auto row = std::make_shared<ContainerRow>(**found);
    BERTH_CHECK(mutate(transaction, *row));
    row->updated_at = clock_.now();
    BERTH_CHECK(container_rows::update(transaction, *row, sealing_));
    return RowPointer(std::move(row));
  }));
  remember({id});
  return changed;
}

Result<void> ContainerCatalog::remove(ContainerId id, const std::function<Result<void>(store::Transaction&)>& also) {
  BERTH_CHECK(database_.write([&](store::Transaction& transaction) -> Result<void> {
    BERTH_CHECK(container_rows::remove(transaction, id));
    if (also) return also(transaction);
    return {};
  }));
  remember({id});
  return {};
}

}  // namespace berth::fleet
