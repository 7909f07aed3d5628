// What a container's environment holds is nowhere to be found at rest, whatever is done with the container.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/log.h"
#include "fleet/archive_folder.h"
#include "fleet/fleet_fixture.h"

namespace berth::fleet {
namespace {

using berth::testing::eventually;
using compute::Status;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr const char* kName = "DATABASE_PASSWORD";
constexpr const char* kMarker = "hunter2-marker";

std::string content_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

identity::Sealing keys(const std::string& names) {
  std::vector<Secret> all;
  for (const char name : names) all.emplace_back(std::string(32, name));
  return identity::Sealing::from_keys(std::move(all));
}

class SecretsTest : public FleetFixture {
 protected:
  SecretsTest() { log::configure({.level = log::Level::debug, .file = log_file().string()}); }
  ~SecretsTest() override { log::configure({}); }

  std::filesystem::path log_file() const { return folder_.path() / "berth.log"; }
  NewContainer secretive(const std::string& name, const std::string& server = "one") {
    auto wanted = wish(name);
    wanted.server = server;
    wanted.settings.environment[kName] = kMarker;
    wanted.settings.mounts.push_back({name + "-data", "/data", false});
    return wanted;
  }
  ContainerChange with_environment(const std::string& name, const std::string& value) {
    ContainerChange change;
    change.settings = seen(name)->settings;
    change.settings->environment[kName] = value;
    return change;
  }
  /// What the engine of its server was given.
  std::string given(const std::string& name) {
    return take(engine(seen(name)->server_name).inspect(name, soon())).settings.environment[kName];
  }
  void move(const std::string& name, const std::string& to) {
    const auto ticket = take(containers_->relocate(admin(), name, to));
    ASSERT_EQ(take(ticket->wait(soon())).state, operations::State::succeeded);
  }
  void recover(const std::string& name, const std::string& server, const std::string& to) {
    engine(server).faults().refuse_connections(true);
    const auto id = take(registry_->find(server)).server.id;
    ASSERT_TRUE(eventually([&] {
      return take(registry_->find(server)).status.health == ServerHealth::unreachable &&
             !registry_->unit(id)->inventory->snapshot()->health.connected;
    }));
    take(containers_->mark_fenced(id, "by hand", admin().origin));
    const auto elsewhere = take(registry_->find(to)).server.id;
    const auto ticket = take(containers_->recover(admin().origin, seen(name)->id, elsewhere, {}));
    ASSERT_EQ(take(ticket->wait(soon())).state, operations::State::succeeded);
  }
  std::vector<std::filesystem::path> manifests() {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(settings_.archives)) {
      if (entry.path().filename() == "manifest.json") found.push_back(entry.path());
    }
    return found;
  }
  std::filesystem::path archive_of(const std::string& name) {
    return settings_.archives / containers_->row(seen(name)->id)->archive;
  }
  /// Neither in the store, as its files are and as a backup of it is, nor in a manifest, nor in the log.
  void expect_nowhere(const std::string& marker, const std::string& note) {
    log::flush();
    EXPECT_THAT(content_of(log_file()), Not(HasSubstr(marker))) << note;
    for (const auto& manifest : manifests()) EXPECT_THAT(content_of(manifest), Not(HasSubstr(marker))) << note;
    const auto backup = folder_.path() / "backup.db";
    std::filesystem::remove(backup);
    take(database_->backup_to(backup));
    EXPECT_THAT(content_of(backup), HasSubstr(FakeEngine::kImage)) << "the rest can be read";
    for (const auto& file : {backup, folder_.path() / "store.db", folder_.path() / "store.db-wal"}) {
      EXPECT_THAT(content_of(file), Not(HasSubstr(marker))) << note << ": " << file;
    }
  }
  /// As if it had been written before environments were sealed.
  void unseal(const std::filesystem::path& archive) {
    std::string text = content_of(archive / "manifest.json");
    const std::size_t begin = text.find(R"(\"environment\":null,\"sealed_environment\":\")");
    ASSERT_NE(begin, std::string::npos) << text;
    const std::size_t end = text.find(R"(\",\"ports\")", begin);
    ASSERT_NE(end, std::string::npos) << text;
    text.replace(begin, end + 2 - begin,
                 std::string(R"(\"environment\":{\")") + kName + R"(\":\")" + kMarker + R"(\"})");
    std::ofstream(archive / "manifest.json", std::ios::binary) << text;
  }
};

TEST_F(SecretsTest, AnEnvironmentIsNowhereToBeFoundWhateverIsDone) {
  begin({"one", "two"});
  take(make(alice(), secretive("web")));
  EXPECT_EQ(given("web"), kMarker);
  expect_nowhere(kMarker, "created");

  const std::string newer = std::string(kMarker) + "-newer";
  take(containers_->update(alice(), "web", with_environment("web", newer)));
  EXPECT_EQ(given("web"), newer);
  expect_nowhere(kMarker, "changed");

  engine("one").publish_image("web:2");
  engine("two").publish_image("web:2");
  ContainerChange image;
  image.image = "web:2";
  image.name = "shop";
  take(containers_->update(alice(), "web", image));
  EXPECT_EQ(given("shop"), newer);
  expect_nowhere(kMarker, "replaced and renamed");

  move("shop", "two");
  EXPECT_EQ(given("shop"), newer);
  EXPECT_THAT(manifests(), SizeIs(1));
  expect_nowhere(kMarker, "moved");

  take(containers_->archive(alice(), "shop"));
  EXPECT_THAT(manifests(), SizeIs(1));
  expect_nowhere(kMarker, "archived");
  take(containers_->restore(alice(), "shop"));
  EXPECT_EQ(given("shop"), newer);
  expect_nowhere(kMarker, "restored");

  take(containers_->start(alice(), "shop"));
  const bool on_one = seen("shop")->server_name == "one";
  recover("shop", on_one ? "one" : "two", on_one ? "two" : "one");
  EXPECT_EQ(seen("shop")->server_name, on_one ? "two" : "one");
  EXPECT_EQ(given("shop"), newer);
  expect_nowhere(kMarker, "recovered");
}

TEST_F(SecretsTest, WhatFailsTellsNothingEither) {
  begin();
  engine("one").faults().fail("create", 1, Error(ErrorCode::exhausted, "engine.full", {"满", "full"}));
  expect_error(make(alice(), secretive("web")), ErrorCode::exhausted, "engine.full");
  auto refused = secretive("web");
  refused.settings.environment["A=B"] = kMarker;
  const auto created = containers_->create(alice(), refused);
  ASSERT_FALSE(created);
  EXPECT_THAT(created.error().describe(), Not(HasSubstr(kMarker)));
  take(make(alice(), secretive("web")));
  engine("one").faults().fail("start", 1, Error(ErrorCode::exhausted, "engine.full", {"满", "full"}));
  EXPECT_FALSE(containers_->update(alice(), "web", with_environment("web", std::string(kMarker) + "-newer")));
  ASSERT_TRUE(eventually([&] { return settled(); }));
  EXPECT_EQ(given("web"), kMarker);
  expect_nowhere(kMarker, "failed");
}

TEST_F(SecretsTest, AnAdoptedOneRestsSealedToo) {
  begin();
  compute::NewInstance outside;
  outside.name = "web";
  outside.image = FakeEngine::kImage;
  outside.container = secretive("web").settings;
  take(engine("one").create(outside, {}, soon()));
  ASSERT_TRUE(appears("web"));
  EXPECT_EQ(seen("web")->settings.environment.at(kName), kMarker);
  expect_nowhere(kMarker, "adopted");
}

TEST_F(SecretsTest, AnArchiveIsStillReadAfterARestartAndARotation) {
  begin();
  take(make(alice(), secretive("web")));
  take(containers_->archive(alice(), "web"));
  come_back();
  sealing_ = keys("ns");
  const std::string before = content_of(archive_of("web") / "manifest.json");
  EXPECT_EQ(take(Containers::reseal(*database_, settings_.archives, sealing_)), 2) << "the row and the archive";
  EXPECT_EQ(take(Containers::reseal(*database_, settings_.archives, sealing_)), 0);
  EXPECT_NE(content_of(archive_of("web") / "manifest.json"), before);
  sealing_ = keys("n");
  come_back();
  take(containers_->restore(alice(), "web"));
  EXPECT_EQ(given("web"), kMarker);
  const auto changed = containers_->update(alice(), "web", with_environment("web", "other"));
  EXPECT_TRUE(changed) << changed.error().describe();
}

TEST_F(SecretsTest, AnArchiveThatWasWrittenUnsealedIsReadAndSealedByTheRotation) {
  begin();
  take(make(alice(), secretive("web")));
  take(containers_->archive(alice(), "web"));
  unseal(archive_of("web"));
  EXPECT_THAT(content_of(archive_of("web") / "manifest.json"), HasSubstr(kMarker));
  EXPECT_EQ(take(archive_folder::verify(settings_.archives, containers_->row(seen("web")->id)->archive, sealing_))
                .desired.settings.environment[kName],
            kMarker);
  EXPECT_EQ(take(Containers::reseal(*database_, settings_.archives, sealing_)), 1);
  expect_nowhere(kMarker, "sealed");
  take(containers_->restore(alice(), "web"));
  EXPECT_EQ(given("web"), kMarker);
}

TEST_F(SecretsTest, WhatRestedUnsealedInTheStoreLeavesNoTraceOnceItIsSealedAndClosed) {
  begin();
  take(make(alice(), secretive("web")));
  const auto unsealed = [&](store::Transaction& t) -> Result<void> {
    std::string text = BERTH_TRY(t.query("SELECT desired FROM containers")).front().text("desired");
    const std::size_t from = text.find(R"("environment":null,"sealed_environment":")");
    const std::size_t to = text.find(R"(,"ports")", from);
    EXPECT_NE(to, std::string::npos) << text;
    text.replace(from, to - from, std::string(R"("environment":{")") + kName + R"(":")" + kMarker + R"("})");
    BERTH_CHECK(t.execute("UPDATE containers SET desired = :text", {{"text", text}}));
    return {};
  };
  take(database_->write(unsealed));
  end();
  const auto file = folder_.path() / "store.db";
  EXPECT_THAT(content_of(file.string() + "-wal"), HasSubstr(kMarker));
  EXPECT_EQ(take(Containers::reseal(*database_, settings_.archives, sealing_)), 1);
  database_.reset();
  EXPECT_THAT(content_of(file), HasSubstr(FakeEngine::kImage));
  EXPECT_THAT(content_of(file), Not(HasSubstr(kMarker)));
  EXPECT_THAT(content_of(file.string() + "-wal"), Not(HasSubstr(kMarker)));
}

TEST_F(SecretsTest, AnArchiveWhoseKeyIsGoneIsNotRestoredWithoutItsEnvironment) {
  begin();
  take(make(alice(), secretive("web")));
  take(containers_->archive(alice(), "web"));
  sealing_ = keys("x");
  come_back();
  expect_error(containers_->restore(alice(), "web"), ErrorCode::conflict, "archive.environment");
  EXPECT_EQ(seen("web")->presence, Presence::archived);
  EXPECT_TRUE(on("one").empty());
  sealing_ = keys("xs");
  come_back();
  take(containers_->restore(alice(), "web"));
  EXPECT_EQ(given("web"), kMarker);
}

TEST_F(SecretsTest, AnArchiveOfAnotherIsNotTakenForItsOwn) {
  begin();
  for (const auto* name : {"web", "shop"}) {
    take(make(alice(), secretive(name)));
    take(containers_->archive(alice(), name));
  }
  std::filesystem::copy_file(archive_of("shop") / "manifest.json", archive_of("web") / "manifest.json",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_FALSE(containers_->restore(alice(), "web"));
}

TEST_F(SecretsTest, OneArchiveThatDoesNotOpenHoldsUpNoOther) {
  begin();
  for (const auto* name : {"web", "shop"}) {
    take(make(alice(), secretive(name)));
    take(containers_->archive(alice(), name));
  }
  const std::string lost = containers_->row(seen("web")->id)->archive;
  std::ofstream(settings_.archives / lost / "manifest.json") << "{";
  unseal(archive_of("shop"));
  const auto done = archive_folder::reseal(settings_.archives, sealing_);
  expect_error(done, ErrorCode::internal, "archive.reseal");
  EXPECT_THAT(done.error().message().en, HasSubstr(lost));
  EXPECT_THAT(content_of(archive_of("shop") / "manifest.json"), Not(HasSubstr(kMarker)));
}

TEST_F(SecretsTest, AContainerWhoseEnvironmentDoesNotOpenIsManagedButNotMadeAnewWithoutIt) {
  begin({"one", "two"});
  take(make(alice(), secretive("web")));
  sealing_ = keys("x");
  come_back();
  EXPECT_FALSE(seen("web")->environment_open);
  log::flush();
  EXPECT_THAT(content_of(log_file()), HasSubstr("The environment of container web does not open"));
  take(containers_->stop(alice(), "web", true));
  take(containers_->start(alice(), "web"));

  ContainerChange policy;
  policy.settings = seen("web")->settings;
  policy.settings->restart_policy = compute::RestartPolicy::always;
  expect_error(containers_->update(alice(), "web", policy), ErrorCode::conflict, "container.environment");
  expect_error(containers_->archive(alice(), "web"), ErrorCode::conflict, "container.environment");
  expect_error(containers_->relocate(admin(), "web", "two"), ErrorCode::conflict, "container.environment");
  EXPECT_TRUE(becomes("web", Status::running));
  EXPECT_EQ(given("web"), kMarker);

  take(containers_->update(alice(), "web", with_environment("web", "set anew")));
  EXPECT_TRUE(seen("web")->environment_open);
  EXPECT_EQ(given("web"), "set anew");
  take(containers_->archive(alice(), "web"));
}

}  // namespace
}  // namespace berth::fleet
