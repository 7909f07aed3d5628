#include "app/doctor.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "app/foundation.h"
#include "temporary_folder.h"

namespace berth::app {
namespace {

class DoctorTest : public ::testing::Test {
 protected:
  void SetUp() override { load({}); }

  void load(Environment environment) {
    environment_ = std::move(environment);
    environment_["BERTH_STATE_FOLDER"] = (folder_.path() / "state").string();
    auto loaded = parse_configuration("", "", {"", environment_, true});
    ASSERT_TRUE(loaded);
    loaded_ = std::move(*loaded);
  }
  std::vector<Diagnosis> ask(std::vector<Diagnosis> (*check)(const Patient&)) { return check({loaded_, environment_}); }
  Diagnosis only(std::vector<Diagnosis> (*check)(const Patient&)) {
    auto found = ask(check);
    EXPECT_EQ(found.size(), 1U);
    return found.at(0);
  }
  std::filesystem::path state() const { return loaded_.configuration.state.folder; }

  testing::TemporaryFolder folder_;
  Environment environment_;
  LoadedConfiguration loaded_;
};

TEST_F(DoctorTest, ExplainsEveryFindingInBothLanguagesAndMendsEveryFailure) {
  for (const auto& check : doctor_checks()) {
    for (const auto& diagnosis : check({loaded_, environment_})) {
      EXPECT_FALSE(diagnosis.found.zh.empty()) << diagnosis.check;
      EXPECT_FALSE(diagnosis.found.en.empty()) << diagnosis.check;
      EXPECT_EQ(diagnosis.remedy.zh.empty(), diagnosis.remedy.en.empty()) << diagnosis.check;
      if (diagnosis.finding == Finding::failure) {
        EXPECT_FALSE(diagnosis.remedy.en.empty()) << diagnosis.check;
      }
    }
  }
}

TEST_F(DoctorTest, ChangesNothing) {
  for (const auto& check : doctor_checks()) check({loaded_, environment_});
  EXPECT_FALSE(std::filesystem::exists(state()));
}

TEST_F(DoctorTest, WarnsOfAStateFolderThatIsOpenToOthers) {
  std::filesystem::create_directory(state());
  chmod(state().c_str(), 0755);
  EXPECT_EQ(only(check_state_folder).finding, Finding::warning);
  chmod(state().c_str(), 0700);
  EXPECT_EQ(only(check_state_folder).finding, Finding::ok);
}

TEST_F(DoctorTest, FindsAFileWhereTheStateFolderShouldBe) {
  std::ofstream(state()) << "x";
  EXPECT_EQ(only(check_state_folder).finding, Finding::failure);
}

TEST_F(DoctorTest, FindsAPortThatIsTaken) {
  const int other = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(other, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(other, 1), 0);
  ASSERT_EQ(getsockname(other, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const auto port = std::to_string(ntohs(address.sin_port));
  load({{"BERTH_LISTENER_0_PORT", port}, {"BERTH_LISTENER_1_PORT", port}});
  const auto found = ask(check_listeners);
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0].finding, Finding::failure);
  EXPECT_NE(found[0].remedy.en.find(port), std::string::npos);
  close(other);
}

TEST_F(DoctorTest, FindsAnAddressThatIsNotThisMachines) {
  load({{"BERTH_LISTENER_0_ADDRESS", "192.0.2.1"}});
  EXPECT_EQ(ask(check_listeners).at(0).finding, Finding::failure);
}

TEST_F(DoctorTest, KnowsAStoreThatIsThereFromOneThatWillBeMade) {
  EXPECT_EQ(only(check_store).finding, Finding::ok);
  ASSERT_TRUE(Foundation::open(loaded_.configuration, Migrate::always));
  EXPECT_EQ(only(check_store).finding, Finding::ok);
  EXPECT_EQ(only(check_sealing_key).finding, Finding::ok);
}

TEST_F(DoctorTest, LooksForSshWhereAServerNeedsIt) {
  EXPECT_TRUE(ask(check_ssh).empty());
  {
    const auto foundation = Foundation::open(loaded_.configuration, Migrate::always);
    ASSERT_TRUE(foundation);
    EXPECT_TRUE(ask(check_ssh).empty());
    ASSERT_TRUE((*foundation)->database->write([](store::Transaction& transaction) -> Result<void> {
      BERTH_CHECK(
          transaction.execute("INSERT INTO servers (name, url, labels, placement, fence, created_at, updated_at) "
                              "VALUES ('far', 'ssh://root@192.0.2.1', '{}', 'open', 'none', :now, :now)",
                              {{"now", system_clock().now()}}));
      return {};
    }));
  }
  const auto found = only(check_ssh);
  EXPECT_EQ(found.finding, Finding::ok);
  EXPECT_NE(found.found.en.find("need it: 1"), std::string::npos);
}

TEST_F(DoctorTest, FindsAStoreThatIsNone) {
  std::filesystem::create_directory(state());
  std::ofstream(loaded_.configuration.store.file) << std::string(4096, 'x');
  EXPECT_EQ(only(check_store).finding, Finding::failure);
}

TEST_F(DoctorTest, FindsALostSealingKey) {
  ASSERT_TRUE(Foundation::open(loaded_.configuration, Migrate::always));
  std::filesystem::remove(loaded_.configuration.identity.sealing_key_file);
  EXPECT_EQ(only(check_sealing_key).finding, Finding::failure);
}

TEST_F(DoctorTest, WarnsWhereThereIsNoEngine) {
  load({{"BERTH_ENGINE_LXD_SOCKET", (folder_.path() / "absent").string()}});
  const auto found = only(check_engines);
  EXPECT_EQ(found.finding, Finding::warning);
  EXPECT_NE(found.found.en.find("absent"), std::string::npos);
}

TEST_F(DoctorTest, FindsASocketThatNobodyServes) {
  const auto path = folder_.path() / "s";
  std::ofstream(path) << "";
  load({{"BERTH_ENGINE_LXD_SOCKET", path.string()}});
  EXPECT_EQ(only(check_engines).finding, Finding::failure);
}

TEST(Worst, IsTheWorst) {
  EXPECT_EQ(worst({}), Finding::ok);
  EXPECT_EQ(worst({{"a", Finding::warning, {}, {}}, {"b", Finding::ok, {}, {}}}), Finding::warning);
  EXPECT_EQ(worst({{"a", Finding::warning, {}, {}}, {"b", Finding::failure, {}, {}}}), Finding::failure);
}

}  // namespace
}  // namespace berth::app
