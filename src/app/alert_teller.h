#pragma once

#include "notify/notifier.h"
#include "telemetry/alert_engine.h"

namespace berth::app {

/// Tells the operators, a rule's own recipients and the webhooks of alerts that were raised or resolved.
class AlertTeller final : public telemetry::AlertListener {
 public:
  explicit AlertTeller(notify::Notifier& notifier) : notifier_(notifier) {}
  Result<bool> raised(store::Transaction& transaction, const telemetry::AlertRule& rule,
                      const telemetry::AlertEpisode& episode) override;
  Result<bool> resolved(store::Transaction& transaction, const telemetry::AlertRule& rule,
                        const telemetry::AlertEpisode& episode) override;

 private:
  Result<bool> tell(store::Transaction& transaction, notify::NoticeKind kind, const telemetry::AlertRule& rule,
                    const telemetry::AlertEpisode& episode);

  notify::Notifier& notifier_;
};

}  // namespace berth::app
