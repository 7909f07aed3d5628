#pragma once

#include <chrono>

#include "metrics/registry.h"

namespace berth::store {

/// What the store counts of its transactions of one kind.
struct TransactionMetrics {
  metrics::Counter& committed;
  metrics::Counter& rolled_back;  ///< by the body's own error
  metrics::Counter& failed;       ///< by the store: unavailable, or an exception of the body
  metrics::Histogram& seconds;    ///< from the call to its return, waiting included
};

struct StoreMetrics {
  explicit StoreMetrics(metrics::Registry& registry);

  TransactionMetrics read;
  TransactionMetrics write;
  metrics::Counter& commits;
  metrics::Counter& grouped_writes;
  metrics::Gauge& queue_depth;
  metrics::Counter& retries;
  metrics::Counter& connections;
};

}  // namespace berth::store
