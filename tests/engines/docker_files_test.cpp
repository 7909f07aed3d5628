#include <atomic>
#include <filesystem>
#include <fstream>

#include "engines/docker_fixture.h"
#include "engines/processes.h"
#include "engines/tiny_registry.h"
#include "temporary_folder.h"

namespace berth::testing {
namespace {

using compute::Status;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// What containers are made of: images, registries, archives, volumes.
class DockerFilesTest : public DockerTest {
 protected:
  TemporaryFolder folder_;
};

// ---- archives

TEST_F(DockerFilesTest, CarriesFilesFromOneContainerToAnother) {
  const std::string from = make(true);
  run(from, {"sh", "-c",
             "mkdir /srv/site && echo 'first 实例' >/srv/site/a && ln -s a /srv/site/b && seq 1 200000 >/srv/site/c"});
  const std::string file = folder_ / "site.tar";
  auto* archives = engine_.archives();
  const auto saved = archives->save_path(from, "/srv/site", file, {}, soon());
  ASSERT_TRUE(saved) << saved.error().describe();
  EXPECT_GT(std::filesystem::file_size(file), 1'000'000u);

  const std::string to = make(false);  // also into one that does not run
  int last = 0;
  compute::EngineProgress progress;
  progress.report = [&](int percent, const std::string&) { last = percent; };
  const auto loaded = archives->load_path(to, "/mnt", file, progress, soon());
  ASSERT_TRUE(loaded) << loaded.error().describe();
  EXPECT_EQ(last, 100);
  ASSERT_TRUE(engine_.start(to, {}, soon()));
  EXPECT_EQ(run(to, {"cat", "/mnt/site/b"}).standard_output, "first 实例\n");
  EXPECT_EQ(run(to, {"tail", "-n", "1", "/mnt/site/c"}).standard_output, "200000\n");
}

TEST_F(DockerFilesTest, SavesWhatAStoppedOneHas) {
  const std::string name = make(true);
  run(name, {"sh", "-c", "echo kept >/srv/note"});
  ASSERT_TRUE(engine_.stop(name, seconds(0), {}, soon()));
  ASSERT_TRUE(engine_.archives()->save_path(name, "/srv/note", folder_ / "note.tar", {}, soon()));
  EXPECT_NE(folder_.read("note.tar").find("kept\n"), std::string::npos);
}

TEST_F(DockerFilesTest, SaysWhatIsWrongWithAnArchive) {
  const std::string name = make(false);
  auto* archives = engine_.archives();
  const std::string file = folder_ / "x.tar";
  expect_error(archives->save_path(name, "/no/such/path", file, {}, soon()), ErrorCode::not_found, "archive.path");
  EXPECT_FALSE(std::filesystem::exists(file));
  expect_error(archives->save_path("nobody", "/etc", file, {}, soon()), ErrorCode::not_found, "instance.not_found");
  folder_.write("garbage.tar", std::string(100'000, 'x'));
  expect_error(archives->load_path(name, "/no/such/path", folder_ / "garbage.tar", {}, soon()), ErrorCode::not_found,
               "archive.path");
  expect_error(archives->load_path(name, "/etc/passwd", folder_ / "garbage.tar", {}, soon()), ErrorCode::not_found,
               "archive.path");
  EXPECT_FALSE(archives->load_path(name, "/etc", folder_ / "garbage.tar", {}, soon()));
  EXPECT_FALSE(archives->load_path(name, "/etc", folder_ / "none.tar", {}, soon()));
  // What is there already is not overwritten.
  folder_.write("mine", "precious");
  EXPECT_FALSE(archives->save_path(name, "/etc/passwd", folder_ / "mine", {}, soon()));
  EXPECT_EQ(folder_.read("mine"), "precious");
}

TEST_F(DockerFilesTest, IsNotLedAstrayByOddPaths) {
  const std::string name = make(true);
  run(name, {"sh", "-c", "mkdir '/srv/a b&path=c?#%2e' && echo odd >'/srv/a b&path=c?#%2e/实例'"});
  const auto saved = engine_.archives()->save_path(name, "/srv/a b&path=c?#%2e/实例", folder_ / "odd.tar", {}, soon());
  ASSERT_TRUE(saved) << saved.error().describe();
  EXPECT_NE(folder_.read("odd.tar").find("odd\n"), std::string::npos);
}

TEST_F(DockerFilesTest, MakesAnImageOfAContainersRoot) {
  const std::string name = make(true);
  run(name, {"sh", "-c", "echo moved >/srv/note"});
  const std::string file = folder_ / "root.tar";
  ASSERT_TRUE(engine_.stop(name, seconds(0), {}, soon()));
  auto* archives = engine_.archives();
  const auto saved = archives->save_root(name, file, {}, soon());
  ASSERT_TRUE(saved) << saved.error().describe();
  const std::string reference = "dk-moved:" + to_hex(random_bytes(3));
  const auto imported = archives->import_root(file, reference, {}, soon());
  ASSERT_TRUE(imported) << imported.error().describe();

  auto wanted = wish(true);
  wanted.image = reference;
  wanted.container.emplace().command = {"/sbin/idle"};
  make(wanted);
  EXPECT_EQ(run(wanted.name, {"cat", "/srv/note"}).standard_output, "moved\n");
  expect_error(engine_.images()->remove_image(reference, soon()), ErrorCode::conflict, "image.in_use");
  ASSERT_TRUE(engine_.stop(wanted.name, seconds(0), {}, soon()));
  ASSERT_TRUE(engine_.remove(wanted.name, {}, soon()));
  EXPECT_TRUE(engine_.images()->remove_image(reference, soon()));

  folder_.write("garbage.tar", std::string(100'000, 'x'));
  expect_error(archives->import_root(folder_ / "garbage.tar", "dk-garbage:1", {}, soon()), ErrorCode::invalid_argument,
               "image.archive");
  expect_error(archives->import_root(file, "Not A Name", {}, soon()), ErrorCode::invalid_argument, "instance.image");
}

TEST_F(DockerFilesTest, LeavesNothingOfATransferThatWasCancelled) {
  const std::string name = make(true);
  run(name, {"dd", "if=/dev/zero", "of=/srv/big", "bs=1048576", "count=200"});
  compute::EngineProgress progress;
  progress.cancelled = [] { return true; };
  const std::string file = folder_ / "big.tar";
  expect_error(engine_.archives()->save_root(name, file, progress, soon()), ErrorCode::cancelled, "engine.cancelled");
  EXPECT_FALSE(std::filesystem::exists(file));
}

// ---- volumes

TEST_F(DockerFilesTest, KeepsVolumesApartFromContainers) {
  auto* volumes = engine_.volumes();
  const std::string volume = "dk-vol-" + to_hex(random_bytes(3));
  ASSERT_TRUE(volumes->create_volume(volume, soon()));
  EXPECT_TRUE(volumes->create_volume(volume, soon()));
  const auto all = volumes->list_volumes(soon());
  ASSERT_TRUE(all) << all.error().describe();
  EXPECT_EQ(std::ranges::count(*all, volume, &compute::Volume::name), 1);

  auto wanted = wish(true);
  wanted.container.emplace().mounts = {{.source = volume, .target = "/data", .read_only = false}};
  make(wanted);
  run(wanted.name, {"sh", "-c", "echo stays >/data/note"});
  expect_error(volumes->remove_volume(volume, soon()), ErrorCode::conflict, "volume.in_use");
  ASSERT_TRUE(engine_.stop(wanted.name, seconds(0), {}, soon()));
  ASSERT_TRUE(engine_.remove(wanted.name, {}, soon()));

  auto next = wish(true);
  next.container.emplace().mounts = {{.source = volume, .target = "/data", .read_only = true}};
  make(next);
  EXPECT_EQ(run(next.name, {"cat", "/data/note"}).standard_output, "stays\n");
  EXPECT_NE(run(next.name, {"sh", "-c", "echo x >/data/note"}).exit_code, 0);
  ASSERT_TRUE(engine_.stop(next.name, seconds(0), {}, soon()));
  ASSERT_TRUE(engine_.remove(next.name, {}, soon()));
  ASSERT_TRUE(volumes->remove_volume(volume, soon()));
  EXPECT_TRUE(volumes->remove_volume(volume, soon()));
  expect_error(volumes->create_volume("../x", soon()), ErrorCode::invalid_argument, "volume.name");
}

// ---- registries

TEST_F(DockerFilesTest, PullsAnImageAndTellsHowFarItIs) {
  const TinyRegistry registry(server_.root_file());
  const std::string reference = registry.address() + "/box/one:1";
  EXPECT_FALSE(*engine_.registry()->has_image(reference, soon()));
  std::vector<int> steps;
  compute::EngineProgress progress;
  progress.report = [&](int percent, const std::string&) { steps.push_back(percent); };
  const auto pulled = engine_.registry()->pull(reference, {}, progress, soon());
  ASSERT_TRUE(pulled) << pulled.error().describe();
  EXPECT_TRUE(*engine_.registry()->has_image(reference, soon()));
  EXPECT_TRUE(std::ranges::is_sorted(steps));
  EXPECT_EQ(steps.back(), 100);
  EXPECT_TRUE(engine_.registry()->pull(reference, {}, {}, soon())) << "what is there already";

  auto wanted = wish(true);
  wanted.image = reference;
  make(wanted);
  EXPECT_EQ(get(wanted.name).status, Status::running);
  EXPECT_TRUE(engine_.registry()->pull(registry.address() + "/box/one@" + registry.digest(), {}, {}, soon()));
}

TEST_F(DockerFilesTest, BringsOneTagWhereNoneIsNamed) {
  const TinyRegistry registry(server_.root_file());
  const std::string reference = registry.address() + "/box";
  ASSERT_TRUE(engine_.registry()->pull(reference, {}, {}, soon()));
  EXPECT_TRUE(*engine_.registry()->has_image(reference + ":latest", soon()));
}

TEST_F(DockerFilesTest, ShowsItsCredentialsToTheRegistry) {
  TinyRegistry registry(server_.root_file());
  registry.want_password("keeper", "pass \"word\" 实例");
  const std::string reference = registry.address() + "/box/secret:1";
  auto* images = engine_.registry();
  const auto nobody = images->pull(reference, {}, {}, soon());
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().reason(), "registry.denied") << nobody.error().describe();
  const auto wrong = images->pull(reference, compute::RegistryCredentials{"keeper", Secret("guess")}, {}, soon());
  expect_error(wrong, ErrorCode::permission_denied, "registry.denied");
  EXPECT_EQ(wrong.error().describe().find("guess"), std::string::npos);
  const auto right =
      images->pull(reference, compute::RegistryCredentials{"keeper", Secret("pass \"word\" 实例")}, {}, soon());
  EXPECT_TRUE(right) << right.error().describe();
}

TEST_F(DockerFilesTest, SaysWhyAPullFailed) {
  const TinyRegistry registry(server_.root_file());
  auto* images = engine_.registry();
  const auto missing = images->pull(registry.address() + "/box:none", {}, {}, soon());
  expect_error(missing, ErrorCode::not_found, "image.not_found");
  EXPECT_NE(missing.error().message().en.find("manifest unknown"), std::string::npos) << missing.error().describe();
  const auto refused = images->pull("127.0.0.1:1/box:1", {}, {}, soon());
  expect_error(refused, ErrorCode::unavailable, "registry.unavailable");
  EXPECT_NE(refused.error().message().en.find("connection refused"), std::string::npos);
  expect_error(images->pull("no-such-host.invalid/box:1", {}, {}, soon()), ErrorCode::unavailable,
               "registry.unavailable");
  expect_error(images->pull("Not A Name", {}, {}, soon()), ErrorCode::invalid_argument, "instance.image");
}

TEST_F(DockerFilesTest, GoesOnAfterAPullThatWasCutOff) {
  TinyRegistry registry(server_.root_file());
  // A layer of its own, which the engine does not have yet.
  const std::string layer = folder_ / "layer.tar";
  const std::string noise = folder_.write("noise", random_bytes(2'000'000));
  ASSERT_EQ(std::system(("tar -C " + folder_.path().string() + " -cf " + layer + " noise").c_str()), 0);
  TinyRegistry fresh(layer);
  fresh.cut_off_after(500'000);
  const std::string reference = fresh.address() + "/box:cut";
  const auto cut_off = engine_.registry()->pull(reference, {}, {}, Deadline::after(seconds(8)));
  ASSERT_FALSE(cut_off);
  EXPECT_FALSE(*engine_.registry()->has_image(reference, soon()));
  fresh.cut_off_after(0);
  const auto whole = engine_.registry()->pull(reference, {}, {}, soon());
  EXPECT_TRUE(whole) << whole.error().describe();
}

TEST_F(DockerFilesTest, GivesUpAPullThatNobodyWantsOrThatTakesTooLong) {
  const std::string layer = folder_ / "layer.tar";
  folder_.write("noise", random_bytes(8'000'000));
  ASSERT_EQ(std::system(("tar -C " + folder_.path().string() + " -cf " + layer + " noise").c_str()), 0);
  TinyRegistry registry(layer);
  registry.dawdle(true);
  const std::string reference = registry.address() + "/box:slow";
  std::atomic<int> percent{0};
  compute::EngineProgress progress;
  progress.report = [&](int done, const std::string&) { percent = done; };
  progress.cancelled = [&] { return percent > 10; };
  expect_error(engine_.registry()->pull(reference, {}, progress, soon()), ErrorCode::cancelled, "engine.cancelled");
  const auto begin = std::chrono::steady_clock::now();
  expect_error(engine_.registry()->pull(reference, {}, {}, Deadline::after(milliseconds(700))),
               ErrorCode::deadline_exceeded, "engine.timeout");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(3));
}

}  // namespace
}  // namespace berth::testing
