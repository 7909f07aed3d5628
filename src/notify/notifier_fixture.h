#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "audit/audit_log.h"
#include "identity/sealing.h"
#include "notify/notifier.h"
#include "smtp_sink.h"
#include "store/both_engines_fixture.h"

namespace berth::notify {

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().describe());
  return std::move(*result);
}
inline void must(Result<void> result) {
  if (!result) throw std::runtime_error(result.error().describe());
}
/// The reason of a failure, or "ok".
template <class T>
std::string reason_of(const Result<T>& result) {
  return result ? std::string("ok") : std::string(result.error().reason());
}

/// A notifier over a store of its own, with a clock that stands still and a mail server that keeps what it gets.
class NotifierFixture {
 public:
  explicit NotifierFixture(store::Dialect dialect) : place_(dialect) {
    database_ = place_.ready(store::embedded_migrations());
    audit_ = std::make_unique<audit::AuditLog>(*database_, sealing_.derive("audit"), clock_);
  }

  Notifier::Settings with_mail() {
    if (!sink_) sink_.emplace();
    Notifier::Settings settings;
    settings.smtp = SmtpSettings{.host = "127.0.0.1",
                                 .port = sink_->port(),
                                 .tls = TlsMode::none,
                                 .username = "",
                                 .password = {},
                                 .sender = "berth@example.org"};
    settings.language = Language::en;
    return settings;
  }
  Notifier& start(Notifier::Settings settings) {
    notifier_.reset();
    notifier_ = another(std::move(settings));
    return *notifier_;
  }
  std::unique_ptr<Notifier> another(Notifier::Settings settings) {
    return must(Notifier::create(std::move(settings), {*database_, *audit_, sealing_, place_.metrics(), clock_}));
  }
  Delivery only() {
    const auto page = must(notifier_->list({}));
    if (page.deliveries.size() != 1) throw std::runtime_error("not one delivery");
    return page.deliveries.front();
  }
  std::size_t deliver() { return must(notifier_->deliver_due()); }
  void pass(std::chrono::microseconds time) { clock_.advance(time); }
  static Notice notice(std::string key, std::vector<Recipient> to, bool webhooks = false) {
    Notice notice;
    notice.kind = NoticeKind::rental_expiry;
    notice.dedup_key = std::move(key);
    notice.values = {{"username", "alice"}, {"container", "web-1"}, {"expiry_date", "2027-02-01"}, {"grace_days", "7"}};
    notice.mail_to = std::move(to);
    notice.webhooks = webhooks;
    return notice;
  }
  static audit::Origin origin() {
    return {UserId(7), "alice", "192.0.2.1", "container-rental", RequestId("request-1")};
  }

 protected:
  store::Place place_;
  ManualClock clock_{Timestamp(std::chrono::seconds(1'800'000'000))};
  identity::Sealing sealing_ = identity::Sealing::from_keys({Secret(std::string(32, 's'))});
  std::unique_ptr<store::Database> database_;
  std::unique_ptr<audit::AuditLog> audit_;
  std::optional<testing::SmtpSink> sink_;
  std::unique_ptr<Notifier> notifier_;
};

class NotifierTest : public ::testing::Test, public NotifierFixture {
 protected:
  NotifierTest() : NotifierFixture(store::Dialect::sqlite) {}
};

class NotifierOnBoth : public ::testing::TestWithParam<store::Dialect>, public NotifierFixture {
 protected:
  NotifierOnBoth() : NotifierFixture(GetParam()) {}
};

}  // namespace berth::notify
