#include "notify/notifier.h"

#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "eventually.h"
#include "json/document.h"
#include "notify/notifier_fixture.h"
#include "operations/flaky_database.h"
#include "scripted_server.h"

namespace berth::notify {
namespace {

using namespace std::chrono_literals;
using testing::eventually;
using testing::ScriptedServer;

INSTANTIATE_TEST_SUITE_P(Engines, NotifierOnBoth, ::testing::Values(store::Dialect::sqlite, store::Dialect::postgresql),
                         store::engine_name);

json::Document parsed(const std::string& text) {
  return must(json::Document::parse(text));
}

std::string url_of(const ScriptedServer& server) {
  return fmt::format("http://127.0.0.1:{}/hook", server.port());
}

NewWebhook hook(const ScriptedServer& server, std::string name = "pager") {
  return {.name = std::move(name), .url = url_of(server), .secret = Secret("a secret of sixteen+"), .notices = {}};
}

TEST_P(NotifierOnBoth, SendsWhatWasQueuedAndRecordsIt) {
  start(with_mail());
  EXPECT_EQ(must(notifier_->enqueue(notice("rental:1", {{"alice@example.com"}}))).size(), 1U);
  EXPECT_EQ(only().state, DeliveryState::pending);
  EXPECT_EQ(deliver(), 1U);
  const auto delivery = only();
  EXPECT_EQ(delivery.state, DeliveryState::sent);
  EXPECT_EQ(delivery.attempts, 1);
  EXPECT_EQ(delivery.sent_at, clock_.now());
  EXPECT_FALSE(delivery.perhaps_twice);
  ASSERT_EQ(sink_->mails().size(), 1U);
  const auto mail = parsed(sink_->mails().front());
  EXPECT_EQ(mail.root()["subject"].string(), "The rental of container web-1 ends on 2027-02-01");
  EXPECT_EQ(mail.root()["message_id"].string(), fmt::format("<{}@example.org>", delivery.uuid));
  EXPECT_EQ(deliver(), 0U);
}

TEST_P(NotifierOnBoth, TellsEachReceiverOnce) {
  start(with_mail());
  EXPECT_EQ(must(notifier_->enqueue(notice("rental:1", {{"alice@example.com"}, {"ALICE@example.com"}}))).size(), 1U);
  EXPECT_TRUE(must(notifier_->enqueue(notice("rental:1", {{"alice@example.com"}}))).empty());
  deliver();
  EXPECT_TRUE(must(notifier_->enqueue(notice("rental:1", {{"alice@example.com"}}))).empty());
  EXPECT_EQ(must(notifier_->enqueue(notice("rental:1", {{"bob@example.com"}}))).size(), 1U);
  EXPECT_EQ(must(notifier_->enqueue(notice("rental:2", {{"alice@example.com"}}))).size(), 1U);
  deliver();
  EXPECT_EQ(sink_->mails().size(), 3U);
}

TEST_P(NotifierOnBoth, TellsNothingThatWasNotCommitted) {
  start(with_mail());
  const auto failed = database_->write([&](store::Transaction& transaction) -> Result<void> {
    BERTH_CHECK([&]() -> Result<void> {
      BERTH_TRY(notifier_->enqueue(transaction, notice("rental:1", {{"alice@example.com"}})));
      return {};
    }());
    return Error(ErrorCode::conflict, "test.changed_mind", {"", ""});
  });
  EXPECT_EQ(reason_of(failed), "test.changed_mind");
  EXPECT_EQ(deliver(), 0U);
  EXPECT_EQ(must(notifier_->list({})).total, 0);
}

TEST_P(NotifierOnBoth, TriesAgainWithGrowingPausesUntilItIsDead) {
  auto settings = with_mail();
  settings.attempts = 4;
  start(settings);
  must(notifier_->enqueue(notice("rental:1", {{"temp@example.com"}})));
  auto pause = 30s;
  for (int attempt = 1; attempt < settings.attempts; ++attempt) {
    EXPECT_EQ(deliver(), 1U);
    const auto delivery = only();
    EXPECT_EQ(delivery.state, DeliveryState::failed);
    EXPECT_EQ(delivery.attempts, attempt);
    EXPECT_NE(delivery.last_error.find("Try again later"), std::string::npos) << delivery.last_error;
    EXPECT_GE(delivery.next_attempt_at, clock_.now() + pause * 3 / 4);
    EXPECT_LE(delivery.next_attempt_at, clock_.now() + pause * 5 / 4);
    EXPECT_EQ(deliver(), 0U) << "too early";
    pass(pause * 5 / 4);
    pause *= 2;
  }
  EXPECT_EQ(deliver(), 1U);
  EXPECT_EQ(only().state, DeliveryState::dead);
  pass(24h);
  EXPECT_EQ(deliver(), 0U);
}

TEST_P(NotifierOnBoth, GivesUpAtOnceWhatIsRefusedForGood) {
  start(with_mail());
  must(notifier_->enqueue(notice("rental:1", {{"perm@example.com"}})));
  EXPECT_EQ(deliver(), 1U);
  EXPECT_EQ(only().state, DeliveryState::dead);
  EXPECT_EQ(only().attempts, 1);
}

TEST_P(NotifierOnBoth, SendsAgainWhatAPersonWantsSentAgain) {
  start(with_mail());
  must(notifier_->enqueue(notice("rental:1", {{"once@example.com"}})));
  EXPECT_EQ(reason_of(notifier_->resend(only().id, origin())), "delivery.sent");
  deliver();
  ASSERT_EQ(only().state, DeliveryState::failed);
  must(notifier_->resend(only().id, origin()));
  EXPECT_EQ(deliver(), 1U);
  EXPECT_EQ(only().state, DeliveryState::sent);
  EXPECT_EQ(reason_of(notifier_->resend(only().id, origin())), "delivery.sent");
  EXPECT_EQ(reason_of(notifier_->resend(DeliveryId(99), origin())), "delivery.not_found");
}

TEST_P(NotifierOnBoth, RecognisesWhatWasBeingSentWhenItDied) {
  start(with_mail());
  must(notifier_->enqueue(notice("rental:1", {{"alice@example.com"}})));
  const auto uuid = only().uuid;
  // A run that took it, sent it and died before it could say so.
  const auto claimed = must(database_->write([&](store::Transaction& transaction) {
    return delivery_rows::claim(transaction, clock_.now(), clock_.now() + 100s, clock_.now() + 24h);
  }));
  ASSERT_TRUE(claimed);
  EXPECT_EQ(deliver(), 0U) << "somebody is sending it";
  if (GetParam() == store::Dialect::sqlite) {
    start(with_mail());  // the only user of the store knows at once that nobody else is sending
  } else {
    pass(101s);
  }
  EXPECT_EQ(deliver(), 1U);
  EXPECT_EQ(only().state, DeliveryState::sent);
  EXPECT_EQ(only().attempts, 2);
  EXPECT_TRUE(only().perhaps_twice);
  EXPECT_EQ(parsed(sink_->mails().front()).root()["message_id"].string(), fmt::format("<{}@example.org>", uuid));
}

TEST_P(NotifierOnBoth, SendsEachOnceWhereSeveralNodesSend) {
  start(with_mail());
  const auto second = another(with_mail());
  for (int i = 0; i < 20; ++i) must(notifier_->enqueue(notice(fmt::format("rental:{}", i), {{"alice@example.com"}})));
  std::atomic<std::size_t> sent{0};
  std::thread other([&] { sent += must(second->deliver_due()); });
  sent += deliver();
  other.join();
  EXPECT_EQ(sent, 20U);
  EXPECT_EQ(sink_->mails().size(), 20U);
  EXPECT_EQ(must(notifier_->list({.state = DeliveryState::sent, .channel = {}, .notice = {}})).total, 20);
}

TEST_P(NotifierOnBoth, SaysSoWhenAMailMayHaveArrivedTwiceUnderOneId) {
  start(with_mail());
  must(notifier_->enqueue(notice("rental:1", {{"lost@example.com"}})));
  deliver();
  EXPECT_EQ(only().state, DeliveryState::failed);
  EXPECT_TRUE(only().perhaps_twice);
  pass(1min);
  deliver();
  const auto mails = sink_->mails();
  ASSERT_EQ(mails.size(), 2U);
  EXPECT_EQ(parsed(mails[0]).root()["message_id"].string(), parsed(mails[1]).root()["message_id"].string());
}

TEST_P(NotifierOnBoth, TakesNoMoreThanTheQueueHolds) {
  auto settings = with_mail();
  settings.queue_limit = 3;
  start(settings);
  for (int i = 0; i < 3; ++i) must(notifier_->enqueue(notice(fmt::format("rental:{}", i), {{"alice@example.com"}})));
  const auto refused = notifier_->enqueue(notice("rental:3", {{"alice@example.com"}}));
  EXPECT_EQ(reason_of(refused), "notify.queue_full");
  deliver();
  EXPECT_EQ(reason_of(notifier_->enqueue(notice("rental:3", {{"alice@example.com"}}))), "ok");
}

TEST_P(NotifierOnBoth, TellsWebhooksAndSealsTheirSecrets) {
  std::atomic<int> posts{0};
  const ScriptedServer server([&](ScriptedServer::Peer& peer) {
    const auto request = peer.read_request();
    if (request.find("\"container\":\"web-1\"") != std::string::npos) ++posts;
    peer.answer(200, "{}");
  });
  start({});
  const auto created = must(notifier_->add_webhook(hook(server), origin()));
  EXPECT_EQ(created.secret.reveal(), "a secret of sixteen+");
  EXPECT_EQ(must(notifier_->enqueue(notice("rental:1", {}, true))).size(), 1U);
  EXPECT_EQ(deliver(), 1U);
  EXPECT_EQ(posts, 1);
  EXPECT_EQ(only().recipient, "pager");
  const auto rests = must(database_->read([](store::Transaction& transaction) -> Result<std::string> {
    return BERTH_TRY(transaction.query("SELECT secret FROM webhooks")).front().text("secret");
  }));
  EXPECT_EQ(rests.find("sixteen"), std::string::npos);
}

TEST_P(NotifierOnBoth, SaysSoWhenAnOutcomeCouldNotBeStored) {
  operations::FlakyDatabase flaky(*database_);
  std::mutex mutex;
  std::vector<std::string> posted;
  std::atomic<int> posts{0};
  const ScriptedServer server([&](ScriptedServer::Peer& peer) {
    const auto request = peer.read_request();
    {
      const std::lock_guard lock(mutex);
      posted.push_back(request.substr(request.find("X-Berth-Delivery: "), 54));
    }
    if (posts.fetch_add(1) == 0) flaky.writes_fail = true;
    peer.answer(200, "{}");
  });
  notifier_ = must(Notifier::create({}, {flaky, *audit_, sealing_, place_.metrics(), clock_}));
  must(notifier_->add_webhook(hook(server), origin()));
  must(notifier_->enqueue(notice("rental:1", {}, true)));
  EXPECT_EQ(reason_of(notifier_->deliver_due()), "store.unavailable");
  flaky.writes_fail = false;
  EXPECT_EQ(deliver(), 0U) << "it is still claimed";
  pass(2min);
  EXPECT_EQ(deliver(), 1U);
  EXPECT_EQ(only().state, DeliveryState::sent);
  EXPECT_TRUE(only().perhaps_twice);
  ASSERT_EQ(posted.size(), 2U);
  EXPECT_EQ(posted[0], posted[1]) << "the receiver can tell";
  notifier_.reset();
}

TEST_P(NotifierOnBoth, KeepsTellsAndForgetsWebhooks) {
  const ScriptedServer server([](ScriptedServer::Peer& peer) { peer.hang(); });
  auto settings = Notifier::Settings();
  settings.webhook_limit = 2;
  start(settings);
  EXPECT_EQ(reason_of(notifier_->add_webhook({.name = "", .url = "ftp://x", .secret = Secret("short"), .notices = {}},
                                             origin())),
            "webhook.invalid");
  auto only_alerts = hook(server, "alerts");
  only_alerts.notices = {NoticeKind::alert_raised, NoticeKind::alert_resolved};
  only_alerts.secret = Secret();
  const auto first = must(notifier_->add_webhook(only_alerts, origin()));
  EXPECT_EQ(first.secret.reveal().size(), 64U);
  EXPECT_EQ(reason_of(notifier_->add_webhook(only_alerts, origin())), "webhook.exists");
  must(notifier_->add_webhook(hook(server), origin()));
  EXPECT_EQ(reason_of(notifier_->add_webhook(hook(server, "third"), origin())), "webhook.limit");
  const auto listed = must(notifier_->list_webhooks());
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_EQ(listed[0].notices, only_alerts.notices);

  EXPECT_EQ(must(notifier_->enqueue(notice("rental:1", {}, true))).size(), 1U) << "one of them takes alerts only";
  must(notifier_->remove_webhook(listed[1].id, origin()));
  EXPECT_EQ(only().state, DeliveryState::dead);
  EXPECT_EQ(reason_of(notifier_->remove_webhook(listed[1].id, origin())), "webhook.not_found");
  EXPECT_EQ(deliver(), 0U);
  audit::Filter filter;
  filter.action_prefix = "webhook.";
  EXPECT_EQ(must(audit_->list(filter)).total, 3);
}

TEST_P(NotifierOnBoth, ReadsItsSecretsAfterTheKeyWasTurned) {
  const ScriptedServer server([](ScriptedServer::Peer& peer) {
    (void)peer.read_request();
    peer.answer(200, "{}");
  });
  start({});
  must(notifier_->add_webhook(hook(server), origin()));
  const auto turned = identity::Sealing::from_keys({Secret(std::string(32, 'n')), Secret(std::string(32, 's'))});
  const auto reseal = [&] {
    return must(
        database_->write([&](store::Transaction& transaction) { return reseal_webhooks(transaction, turned); }));
  };
  EXPECT_EQ(reseal(), 1);
  EXPECT_EQ(reseal(), 0);
  sealing_ = identity::Sealing::from_keys({Secret(std::string(32, 'n'))});
  must(notifier_->enqueue(notice("rental:1", {}, true)));
  deliver();
  EXPECT_EQ(only().state, DeliveryState::sent);
}

TEST_F(NotifierTest, QueuesNoMailWithoutAMailServer) {
  start({});
  EXPECT_FALSE(notifier_->has_mail());
  EXPECT_TRUE(must(notifier_->enqueue(notice("rental:1", {{"alice@example.com"}}))).empty());
  EXPECT_EQ(reason_of(notifier_->test({.webhook = {}, .address = "alice@example.com"}, Language::en, origin())),
            "notify.no_mail");
  EXPECT_EQ(reason_of(notifier_->test({}, Language::en, origin())), "notify.nobody");
}

TEST_F(NotifierTest, RefusesToBeMadeWithSettingsThatCannotWork) {
  auto settings = with_mail();
  settings.smtp->sender = "nobody";
  EXPECT_EQ(reason_of(Notifier::create(settings, {*database_, *audit_, sealing_, place_.metrics(), clock_})),
            "mail.settings");
}

TEST_F(NotifierTest, TellsOperatorsAndSpeaksTheLanguageOfEach) {
  auto settings = with_mail();
  settings.operators = {"ops@example.com"};
  settings.language = Language::zh;
  start(settings);
  auto both = notice("rental:1", {{"alice@example.com", Language::en}, {"not an address", {}}});
  both.operators = true;
  EXPECT_EQ(must(notifier_->enqueue(both)).size(), 2U);
  deliver();
  ASSERT_EQ(sink_->mails().size(), 2U);
  EXPECT_EQ(parsed(sink_->mails()[0]).root()["subject"].string(), "The rental of container web-1 ends on 2027-02-01");
  EXPECT_EQ(parsed(sink_->mails()[1]).root()["subject"].string(), "容器 web-1 的租赁将于 2027-02-01 到期");
}

TEST_F(NotifierTest, SendsByItselfAndWakesUpForWhatIsQueued) {
  start(with_mail());
  notifier_->start();
  const auto ids = must(notifier_->enqueue(notice("rental:1", {{"alice@example.com"}})));
  const auto done = must(notifier_->wait(ids, Deadline::after(20s)));
  ASSERT_EQ(done.size(), 1U);
  EXPECT_EQ(done.front().state, DeliveryState::sent);
  const auto tested = must(notifier_->test({.webhook = {}, .address = "ops@example.com"}, Language::en, origin()));
  EXPECT_EQ(must(notifier_->wait(tested, Deadline::after(20s))).front().state, DeliveryState::sent);
  notifier_->stop();
}

TEST_F(NotifierTest, StopsInTheMiddleAndGoesOnAfterARestart) {
  start(with_mail());
  notifier_->start();
  must(notifier_->enqueue(notice("rental:1", {{"late@example.com"}})));
  ASSERT_TRUE(eventually([&] { return !sink_->mails().empty(); }));
  notifier_->stop();
  const auto left = only();
  EXPECT_EQ(left.state, DeliveryState::failed);
  EXPECT_TRUE(left.perhaps_twice);
  EXPECT_EQ(left.attempts, 0) << "shutting down is no fault of the receiver's";
  EXPECT_EQ(left.next_attempt_at, clock_.now());
}

TEST_F(NotifierTest, GoesOnWhereTheMailServerWentAwayHalfWay) {
  start(with_mail());
  must(notifier_->enqueue(notice("rental:1", {{"late@example.com"}})));
  std::thread killer([&] {
    EXPECT_TRUE(eventually([&] { return !sink_->mails().empty(); }));
    sink_->kill();
  });
  deliver();
  killer.join();
  EXPECT_EQ(only().state, DeliveryState::failed);
  EXPECT_TRUE(only().perhaps_twice);
  pass(1min);
  deliver();
  EXPECT_EQ(only().attempts, 2);
  EXPECT_NE(only().last_error.find("cannot be used"), std::string::npos) << only().last_error;
}

TEST_F(NotifierTest, DoesNotWaitForYearsAfterAClockWasWrong) {
  start(with_mail());
  pass(24h * 365);
  must(notifier_->enqueue(notice("rental:1", {{"once@example.com"}})));
  deliver();
  ASSERT_EQ(only().state, DeliveryState::failed);
  pass(-24h * 365);
  EXPECT_EQ(deliver(), 1U);
  EXPECT_EQ(only().state, DeliveryState::sent);
}

TEST_F(NotifierTest, ForgetsWhatEndedLongAgoAndNothingElse) {
  start(with_mail());
  must(notifier_->enqueue(notice("rental:1", {{"alice@example.com"}})));
  must(notifier_->enqueue(notice("rental:2", {{"temp@example.com"}})));
  deliver();
  pass(24h * 91);
  EXPECT_EQ(must(notifier_->sweep()), 1);
  EXPECT_EQ(only().state, DeliveryState::failed);
}

TEST_F(NotifierTest, ListsWhatIsAskedFor) {
  start(with_mail());
  for (int i = 0; i < 5; ++i) must(notifier_->enqueue(notice(fmt::format("rental:{}", i), {{"alice@example.com"}})));
  must(notifier_->enqueue(notice("rental:9", {{"perm@example.com"}})));
  deliver();
  EXPECT_EQ(must(notifier_->list({.state = DeliveryState::dead, .channel = {}, .notice = {}})).total, 1);
  EXPECT_EQ(must(notifier_->list({.state = {}, .channel = Channel::webhook, .notice = {}})).total, 0);
  const auto page = must(notifier_->list({.state = DeliveryState::sent,
                                          .channel = Channel::mail,
                                          .notice = NoticeKind::rental_expiry,
                                          .limit = 2,
                                          .offset = 1}));
  EXPECT_EQ(page.total, 5);
  ASSERT_EQ(page.deliveries.size(), 2U);
  EXPECT_EQ(page.deliveries[0].dedup_key, "rental:3 mail:alice@example.com");
}

TEST_F(NotifierTest, CountsWhatBecameOfItsAttempts) {
  start(with_mail());
  must(notifier_->enqueue(notice("rental:1", {{"alice@example.com"}})));
  deliver();
  EXPECT_NE(place_.metrics().text().find("berth_notify_attempts_total{channel=\"mail\",outcome=\"sent\"} 1"),
            std::string::npos);
}

}  // namespace
}  // namespace berth::notify
