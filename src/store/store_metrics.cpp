#include "store/store_metrics.h"

namespace berth::store {

namespace {

TransactionMetrics transactions(metrics::Registry& registry, const char* kind) {
  constexpr auto kName = "berth_store_transactions_total";
  constexpr auto kHelp = "Transactions of the store by kind and outcome";
  return {registry.counter(kName, kHelp, {{"kind", kind}, {"outcome", "committed"}}),
          registry.counter(kName, kHelp, {{"kind", kind}, {"outcome", "rolled_back"}}),
          registry.counter(kName, kHelp, {{"kind", kind}, {"outcome", "failed"}}),
          registry.histogram("berth_store_transaction_seconds",
                             "Time of a transaction as its caller sees it, waiting included", {{"kind", kind}})};
}

}  // namespace

StoreMetrics::StoreMetrics(metrics::Registry& registry)
    : read(transactions(registry, "read")),
      write(transactions(registry, "write")),
      commits(registry.counter("berth_store_commits_total", "Commits of groups of writes")),
      grouped_writes(registry.counter("berth_store_commit_writes_total",
                                      "Writes in committed groups; over commits it is the mean group size")),
      queue_depth(registry.gauge("berth_store_queue_depth", "Writes waiting for the writer")),
      retries(
          registry.counter("berth_store_retries_total", "Transactions run again after a conflict or lost connection")),
      connections(registry.counter("berth_store_connections_total", "Connections opened to the store")) {}

}  // namespace berth::store
