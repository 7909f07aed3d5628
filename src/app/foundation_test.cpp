#include "app/foundation.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "app/state_lock.h"
#include "temporary_folder.h"

namespace berth::app {
namespace {

class FoundationTest : public ::testing::Test {
 protected:
  LoadedConfiguration load(Environment environment = {}) const {
    environment["BERTH_STATE_FOLDER"] = (folder_.path() / "state").string();
    auto loaded = parse_configuration("", "", {"", std::move(environment), true});
    EXPECT_TRUE(loaded);
    return std::move(*loaded);
  }
  static mode_t mode_of(const std::filesystem::path& path) {
    struct stat status {};
    stat(path.c_str(), &status);
    return status.st_mode & 0777U;
  }

  testing::TemporaryFolder folder_;
};

TEST_F(FoundationTest, MakesEverythingOnAFreshMachine) {
  const auto loaded = load();
  const auto foundation = Foundation::open(loaded.configuration, Migrate::only_fresh);
  ASSERT_TRUE(foundation) << foundation.error().describe();
  EXPECT_EQ((*foundation)->database->schema_version(), store::Database::newest_schema_version());
  EXPECT_EQ(mode_of(loaded.configuration.state.folder), 0700U);
  EXPECT_EQ(mode_of(loaded.configuration.identity.sealing_key_file), 0600U);
}

TEST_F(FoundationTest, OpensAgainWhatItMade) {
  const auto loaded = load();
  ASSERT_TRUE(Foundation::open(loaded.configuration, Migrate::always));
  EXPECT_TRUE(Foundation::open(loaded.configuration, Migrate::only_fresh));
}

TEST_F(FoundationTest, NeverReplacesALostSealingKey) {
  const auto loaded = load();
  ASSERT_TRUE(Foundation::open(loaded.configuration, Migrate::always));
  std::filesystem::remove(loaded.configuration.identity.sealing_key_file);
  EXPECT_FALSE(Foundation::open(loaded.configuration, Migrate::always));
  EXPECT_FALSE(std::filesystem::exists(loaded.configuration.identity.sealing_key_file));
}

TEST_F(FoundationTest, ReadsTheConnectionToPostgresqlFromItsFileOnly) {
  const auto file = folder_.path() / "connection";
  std::ofstream(file) << "host=/nowhere dbname=x\n";
  const auto loaded = load({{"BERTH_STORE_DIALECT", "postgresql"}, {"BERTH_STORE_POSTGRESQL_FILE", file.string()}});
  chmod(file.c_str(), 0644);
  EXPECT_EQ(store_settings(loaded.configuration).error().reason(), "secret.mode");
  chmod(file.c_str(), 0600);
  const auto settings = store_settings(loaded.configuration);
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->postgresql.reveal(), "host=/nowhere dbname=x");
}

class FirstAdministratorTest : public FoundationTest {
 protected:
  Result<std::optional<FirstAdministrator>> make(const Environment& environment = {}, Environment keys = {}) {
    loaded_ = load(std::move(keys));
    auto opened = Foundation::open(loaded_.configuration, Migrate::always);
    EXPECT_TRUE(opened);
    foundation_ = std::move(*opened);
    return make_first_administrator(*foundation_->identity, loaded_.configuration, environment);
  }
  bool can_sign_in(std::string_view password) {
    return foundation_->identity->login("admin", Secret(std::string(password)), "", command_origin()).has_value();
  }

  LoadedConfiguration loaded_;
  std::unique_ptr<Foundation> foundation_;
};

TEST_F(FirstAdministratorTest, HasARandomPasswordInAFileOfItsOwn) {
  const auto made = make();
  ASSERT_TRUE(made);
  ASSERT_TRUE(made->has_value());
  const auto file = admin_password_file(loaded_.configuration.state.folder);
  EXPECT_EQ((*made)->password_file, file);
  EXPECT_EQ(mode_of(file), 0600U);
  std::string password;
  std::ifstream(file) >> password;
  EXPECT_EQ(password, (*made)->password.reveal());
  EXPECT_GE(password.size(), 20U);
  EXPECT_TRUE(can_sign_in(password));
}

TEST_F(FirstAdministratorTest, TakesThePasswordOfTheEnvironmentAndKeepsNoCopy) {
  const auto made = make({{"BERTH_ADMIN_PASSWORD", "given-Password-1"}});
  ASSERT_TRUE(made);
  ASSERT_TRUE(made->has_value());
  EXPECT_EQ((*made)->password_file, "");
  EXPECT_FALSE(std::filesystem::exists(admin_password_file(loaded_.configuration.state.folder)));
  EXPECT_TRUE(can_sign_in("given-Password-1"));
}

TEST_F(FirstAdministratorTest, TakesThePasswordOfAConfiguredFile) {
  const auto file = folder_.path() / "password";
  std::ofstream(file) << "filed-Password-1\n";
  chmod(file.c_str(), 0600);
  ASSERT_TRUE(make({}, {{"BERTH_IDENTITY_ADMIN_PASSWORD_FILE", file.string()}}));
  EXPECT_TRUE(can_sign_in("filed-Password-1"));
}

TEST_F(FirstAdministratorTest, IsMadeOnlyOnce) {
  ASSERT_TRUE(make({{"BERTH_ADMIN_PASSWORD", "given-Password-1"}}));
  const auto again = make_first_administrator(*foundation_->identity, loaded_.configuration,
                                              {{"BERTH_ADMIN_PASSWORD", "other-Password-2"}});
  ASSERT_TRUE(again);
  EXPECT_FALSE(again->has_value());
  EXPECT_FALSE(can_sign_in("other-Password-2"));
}

TEST_F(FirstAdministratorTest, IsNotMadeWithAPasswordThatIsTooShort) {
  EXPECT_FALSE(make({{"BERTH_ADMIN_PASSWORD", "short"}}));
  EXPECT_FALSE(*foundation_->identity->has_users());
}

}  // namespace
}  // namespace berth::app
