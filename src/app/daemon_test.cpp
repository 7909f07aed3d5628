#include "app/daemon.h"

#include <gtest/gtest.h>

#include <fstream>

#include "eventually.h"
#include "json/document.h"
#include "temporary_folder.h"

namespace berth::app {
namespace {

using namespace std::chrono_literals;

/// A whole daemon with a fake engine, on a port that the system chooses.
class DaemonTest : public ::testing::Test {
 protected:
  void SetUp() override { write_configuration(""); }

  void write_configuration(const std::string& more) {
    std::ofstream(folder_.path() / "berth.toml")
        << "[state]\nfolder = \"" << (folder_.path() / "state").string() << "\"\n"
        << "[server]\naccess_log = \"\"\n[identity]\nanonymous = \"loopback\"\n"
        << "[engine.lxd]\nkind = \"fake\"\ninstances = 3\n[[listener]]\n"
        << more;
  }
  ConfigurationSource source() const { return {folder_.path() / "berth.toml", environment_, true}; }

  std::unique_ptr<Daemon> make() {
    auto loaded = load_configuration(source());
    EXPECT_TRUE(loaded) << loaded.error().describe();
    loaded->configuration.listeners[0].port = 0;
    auto daemon = Daemon::create(std::move(*loaded), environment_);
    EXPECT_TRUE(daemon) << (daemon ? "" : daemon.error().describe());
    return std::move(*daemon);
  }

  static Result<http::ClientResponse> get(const Daemon& daemon, const std::string& path,
                                          const std::string& token = "") {
    http::Client::Settings settings;
    settings.endpoint.base_url = daemon.urls().at(0);
    http::Client client(std::move(settings));
    http::ClientRequest request;
    request.target = path;
    if (!token.empty()) request.headers.push_back({"Authorization", "Bearer " + token});
    return client.send(request, Deadline::after(5s));
  }
  static int status(const Daemon& daemon, const std::string& path, const std::string& token = "") {
    const auto response = get(daemon, path, token);
    return response ? response->status : 0;
  }

  testing::TemporaryFolder folder_;
  Environment environment_{{"BERTH_ADMIN_PASSWORD", "given-Password-1"}};
};

TEST_F(DaemonTest, ServesTheContractUnderBothOfItsPlaces) {
  const auto daemon = make();
  daemon->start();
  EXPECT_TRUE(testing::eventually(
      [&] {
        const auto health = get(*daemon, "/api/health");
        return health && health->body.find("\"lxd_connected\":true") != std::string::npos;
      },
      10s));
  for (const auto* path : {"/", "/api/instances", "/lxd-panel/api/instances", "/openapi.json", "/metrics", "/docs"}) {
    EXPECT_EQ(status(*daemon, path), 200) << path;
  }
  EXPECT_EQ(status(*daemon, "/whalefall/"), 404);
  EXPECT_TRUE(daemon->alive(5s));
  EXPECT_TRUE(daemon->stop());
}

TEST_F(DaemonTest, RefusesCallersWithoutCredentialsByDefault) {
  environment_["BERTH_IDENTITY_ANONYMOUS"] = "never";
  const auto daemon = make();
  daemon->start();
  EXPECT_EQ(status(*daemon, "/api/instances"), 401);
  EXPECT_EQ(status(*daemon, "/api/health"), 200);
  EXPECT_TRUE(daemon->stop());
}

TEST_F(DaemonTest, AnswersNothingBeforeItsStartAndAfterItsEnd) {
  const auto daemon = make();
  const auto url = daemon->urls().at(0);
  daemon->start();
  EXPECT_EQ(status(*daemon, "/api/health"), 200);
  EXPECT_TRUE(daemon->stop());
  EXPECT_FALSE(get(*daemon, "/api/health"));
  EXPECT_FALSE(daemon->alive(500ms));
}

TEST_F(DaemonTest, EndsWithoutHavingBeenStarted) {
  EXPECT_TRUE(make()->stop());
}

TEST_F(DaemonTest, SeesWhatACommandChangedInTheStoreOnceItIsTold) {
  const auto daemon = make();
  daemon->start();
  std::string key;
  {
    auto loaded = load_configuration(source());
    ASSERT_TRUE(loaded);
    const auto beside = Foundation::open(loaded->configuration, Migrate::only_fresh);
    ASSERT_TRUE(beside);
    const auto admin = (*beside)->identity->find_user("admin");
    ASSERT_TRUE(admin);
    const auto issued = (*beside)->identity->create_key(admin->id, {.name = "k"}, command_origin());
    ASSERT_TRUE(issued);
    key = issued->secret.reveal();
  }
  EXPECT_EQ(status(*daemon, "/auth/me", key), 401) << "nobody has told the daemon";
  ASSERT_TRUE(daemon->reload(source()));
  EXPECT_TRUE(testing::eventually([&] { return status(*daemon, "/auth/me", key) == 200; }, 10s));
  EXPECT_TRUE(daemon->stop());
}

TEST_F(DaemonTest, KeepsItsConfigurationWhenTheNewOneIsWrong) {
  const auto daemon = make();
  daemon->start();
  write_configuration("port = \"x\"\n");
  const auto reloaded = daemon->reload(source());
  ASSERT_FALSE(reloaded);
  EXPECT_EQ(reloaded.error().reason(), "configuration.invalid");
  EXPECT_EQ(status(*daemon, "/api/health"), 200);
  EXPECT_TRUE(daemon->stop());
}

TEST_F(DaemonTest, SaysWhichAddressIsTaken) {
  const auto first = make();
  first->start();
  const auto url = first->urls().at(0);
  const auto port = url.substr(url.rfind(':') + 1);
  write_configuration("port = " + port + "\n");
  environment_["BERTH_STATE_FOLDER"] = (folder_.path() / "other").string();
  auto loaded = load_configuration(source());
  ASSERT_TRUE(loaded);
  const auto second = Daemon::create(std::move(*loaded), environment_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason(), "http.listen");
  EXPECT_NE(second.error().message().en.find(port), std::string::npos);
  EXPECT_TRUE(first->stop());
}

TEST_F(DaemonTest, StartsWithoutAnEngineAndSaysThatItIsNotThere) {
  environment_["BERTH_ENGINE_LXD_KIND"] = "lxd";
  environment_["BERTH_ENGINE_LXD_SOCKET"] = (folder_.path() / "absent.socket").string();
  const auto daemon = make();
  daemon->start();
  const auto health = get(*daemon, "/api/health");
  ASSERT_TRUE(health);
  EXPECT_NE(health->body.find("\"lxd_connected\":false"), std::string::npos);
  EXPECT_EQ(status(*daemon, "/api/instances"), 503);
  EXPECT_TRUE(daemon->stop());
}

}  // namespace
}  // namespace berth::app
