// What a kill leaves of the notifier.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "eventually.h"
#include "json/document.h"
#include "notify/notifier_fixture.h"

namespace berth::notify {
namespace {

using namespace std::chrono_literals;

/// The notifier over a store in a file, as a process of its own would have it.
struct Life {
  Life(const std::filesystem::path& file, std::uint16_t port) {
    store::Database::Settings place;
    place.file = file;
    database = must(store::Database::open(place, metrics));
    must(database->migrate());
    audit = std::make_unique<audit::AuditLog>(*database, Secret(std::string(32, 'k')), system_clock());
    Notifier::Settings settings;
    settings.smtp = SmtpSettings{.host = "127.0.0.1",
                                 .port = port,
                                 .tls = TlsMode::none,
                                 .username = "",
                                 .password = {},
                                 .sender = "berth@example.org"};
    notifier = must(Notifier::create(settings, {*database, *audit, sealing, metrics, system_clock()}));
  }

  metrics::Registry metrics;
  identity::Sealing sealing = identity::Sealing::from_keys({Secret(std::string(32, 's'))});
  std::unique_ptr<store::Database> database;
  std::unique_ptr<audit::AuditLog> audit;
  std::unique_ptr<Notifier> notifier;
};

TEST(NotifierCrash, AKillBetweenSendingAndRecordingIsRecognised) {
  const testing::TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "berth.db";
  testing::SmtpSink sink;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // The server keeps this mail and never says so.
    Life life(file, sink.port());
    life.notifier->start();
    if (!life.notifier->enqueue(NotifierFixture::notice("rental:1", {{"late@example.com"}}))) ::_exit(1);
    ::pause();
    ::_exit(1);
  }
  ASSERT_TRUE(testing::eventually([&] { return !sink.mails().empty(); }, 30s));
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself";

  Life life(file, sink.port());
  life.notifier->start();
  // The second mail arrives at once: nobody waits for the dead one's claim.
  EXPECT_TRUE(testing::eventually([&] { return sink.mails().size() == 2; }, 30s));
  life.notifier->stop();
  const auto page = must(life.notifier->list({}));
  ASSERT_EQ(page.deliveries.size(), 1U);
  EXPECT_TRUE(page.deliveries.front().perhaps_twice);
  const auto id_of = [&](std::size_t index) {
    return must(json::Document::parse(sink.mails().at(index))).root()["message_id"].string_or("");
  };
  EXPECT_EQ(id_of(0), id_of(1));
  EXPECT_NE(id_of(0), "");
}

}  // namespace
}  // namespace berth::notify
