#include "rental/notifier_sender.h"

#include <gtest/gtest.h>

#include "identity/sealing.h"
#include "rental/rental_fixture.h"

namespace berth::rental {
namespace {

class NotifierSenderTest : public RentalTest {
 protected:
  NotifierSenderTest() {
    notify::Notifier::Settings settings;
    settings.smtp.emplace();
    settings.smtp->host = "127.0.0.1";
    settings.smtp->sender = "berth@example.com";
    settings.language = Language::en;
    notifier_ =
        must(notify::Notifier::create(std::move(settings), {*database_, *audit_, sealing_, place_.metrics(), clock_}));
    sender_ = std::make_unique<NotifierSender>(*notifier_);
    // The real sender in place of the fixture's.
    service_ = must(RentalService::create(
        {.engine = {.terms = {}, .workers = 0, .batch = 256, .clock = {}}, .renew_wait = seconds(30)},
        {*database_, *audit_, fleet_, *sender_, place_.metrics(), clock_}));
  }
  ~NotifierSenderTest() override {
    service_.reset();
    notifier_.reset();
    database_.reset();
  }
  void set_email(const std::string& email) {
    must(database_->write([&](store::Transaction& transaction) {
      return transaction.execute("UPDATE users SET email = :email WHERE id = :id", {{"email", email}, {"id", alice_}});
    }));
  }
  std::vector<notify::Delivery> queued() { return must(notifier_->list({})).deliveries; }

  identity::Sealing sealing_ = identity::Sealing::from_keys({Secret(std::string(32, 's'))});
  std::unique_ptr<notify::Notifier> notifier_;
  std::unique_ptr<NotifierSender> sender_;
};

TEST_F(NotifierSenderTest, AUserIsMailedOfWhatExpires) {
  set_email("alice@example.com");
  rent("web", "2024-12-02");
  live(days(3), hours(6));
  const auto mails = queued();
  ASSERT_EQ(mails.size(), 2U);
  EXPECT_EQ(mails.front().recipient, "alice@example.com");
  EXPECT_EQ(mails.front().notice, notify::NoticeKind::rental_expiry);
  EXPECT_NE(mails.front().body.find("alice"), std::string::npos) << mails.front().body;
  EXPECT_NE(mails.front().body.find("web"), std::string::npos) << mails.front().body;
  EXPECT_NE(mails.front().body.find("2024-12-02"), std::string::npos) << mails.front().body;
  EXPECT_NE(mails.front().body.find("7 days"), std::string::npos) << mails.front().body;
}

TEST_F(NotifierSenderTest, AUserWithoutAnAddressHoldsNothingUp) {
  const Rental rental = rent("web", "2024-12-02");
  live(days(3), hours(6));
  EXPECT_TRUE(queued().empty());
  EXPECT_EQ(now(rental.id).state, State::expired);
  EXPECT_EQ(must(service().notify(alice_, day("2024-12-02"), origin())).unreachable, 1);
  set_email("alice@example.com");
  EXPECT_EQ(must(service().notify(alice_, day("2024-12-02"), origin())).sent, 1);
  EXPECT_EQ(queued().size(), 1U);
}

}  // namespace
}  // namespace berth::rental
