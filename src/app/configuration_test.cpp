#include "app/configuration.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <fstream>

#include "app/configuration_keys.h"

namespace berth::app {
namespace {

using namespace std::chrono_literals;

Result<LoadedConfiguration> parse(std::string_view text, Environment environment = {}) {
  return parse_configuration(text, "berth.toml", {"", std::move(environment), true});
}

Configuration good(std::string_view text, Environment environment = {}) {
  auto loaded = parse(text, std::move(environment));
  EXPECT_TRUE(loaded) << (loaded ? "" : loaded.error().describe());
  if (!loaded) {
    for (const auto& field : loaded.error().fields()) ADD_FAILURE() << field.field << ": " << field.message.en;
    return {};
  }
  return loaded->configuration;
}

/// "where: key: message" of every problem.
std::vector<std::string> problems(std::string_view text, Environment environment = {}) {
  const auto loaded = parse(text, std::move(environment));
  EXPECT_FALSE(loaded);
  std::vector<std::string> found;
  if (loaded) return found;
  for (const auto& field : loaded.error().fields()) {
    EXPECT_FALSE(field.message.zh.empty());
    found.push_back(field.field + ": " + field.message.en);
  }
  return found;
}

const Setting& setting(const LoadedConfiguration& loaded, std::string_view key) {
  const auto found = std::find_if(loaded.settings.begin(), loaded.settings.end(),
                                  [&](const Setting& candidate) { return candidate.key == key; });
  EXPECT_NE(found, loaded.settings.end()) << key;
  return *found;
}

TEST(Configuration, OfNothingListensOnTheLoopbackAddressesForTheKnownOnly) {
  const auto configuration = good("");
  ASSERT_EQ(configuration.listeners.size(), 4U);
  for (const std::size_t index : {0U, 1U, 2U, 3U}) {
    const auto& listener = configuration.listeners[index];
    EXPECT_EQ(listener.address, index % 2 == 0 ? "127.0.0.1" : "::1");
    EXPECT_EQ(listener.port, index < 2 ? 8000 : 5000);
  }
  EXPECT_EQ(configuration.listeners[0].mounts,
            (std::vector<MountPlace>{
                {"lxd-panel", ""}, {"lxd-panel", "/lxd-panel"}, {"container-rental", "/container-rental"}}));
  EXPECT_EQ(configuration.listeners[2].mounts, (std::vector<MountPlace>{{"container-rental", ""}}));
  EXPECT_EQ(configuration.identity.anonymous, api::Anonymous::never);
  EXPECT_EQ(configuration.store.dialect, store::Dialect::sqlite);
  ASSERT_EQ(configuration.engines.size(), 1U);
  EXPECT_EQ(configuration.engines.at("lxd").kind, EngineKind::lxd);
  EXPECT_EQ(configuration.engines.at("lxd").tick, 5s);
}

TEST(Configuration, HasTheServersOwnLimitsAsDefaults) {
  const auto limits = good("").limits;
  const http::Limits expected;
  EXPECT_EQ(limits.header_bytes, expected.header_bytes);
  EXPECT_EQ(limits.connections, expected.connections);
  EXPECT_EQ(limits.connections_per_address, expected.connections_per_address);
  EXPECT_EQ(limits.header_time, expected.header_time);
  EXPECT_EQ(limits.body_time, expected.body_time);
  EXPECT_EQ(limits.write_time, expected.write_time);
  EXPECT_EQ(limits.idle_time, expected.idle_time);
}

TEST(Configuration, ReadsEverySection) {
  const auto configuration = good(R"(
[server]
threads = 2
trusted_proxies = ["10.0.0.0/8", "2001:db8::1"]
allowed_origins = ["https://panel.example"]
[server.limits]
header_bytes = "8KiB"
idle_time = "1m"
[[listener]]
address = "::"
port = 8443
tls_certificate = "/etc/berth/tls.crt"
tls_key = "/etc/berth/tls.key"
mounts = [{ contract = "lxd-panel", prefix = "/panel" }]
[state]
folder = "/srv/berth"
[identity]
anonymous = "loopback"
access_lifetime = "5m"
[engine.lxd-2]
url = "https://192.0.2.1:8443"
client_certificate = "/a.crt"
client_key = "/a.key"
[engine.demo]
kind = "fake"
instances = 100
[panel]
engine = "demo"
[log]
level = "debug"
)");
  EXPECT_EQ(configuration.server.threads, 2U);
  EXPECT_EQ(configuration.server.trusted_proxies.size(), 2U);
  EXPECT_EQ(configuration.limits.header_bytes, 8192U);
  EXPECT_EQ(configuration.limits.idle_time, 1min);
  ASSERT_EQ(configuration.listeners.size(), 1U);
  EXPECT_EQ(configuration.listeners[0].port, 8443);
  EXPECT_EQ(configuration.listeners[0].mounts, (std::vector<MountPlace>{{"lxd-panel", "/panel"}}));
  EXPECT_EQ(configuration.store.file, "/srv/berth/berth.db");
  EXPECT_EQ(configuration.identity.sealing_key_file, "/srv/berth/sealing.key");
  EXPECT_EQ(configuration.identity.access_lifetime, 5min);
  EXPECT_EQ(configuration.engines.at("demo").instances, 100U);
  EXPECT_EQ(configuration.log.level, log::Level::debug);
}

struct BadInput {
  std::string_view name;
  std::string_view text;
  std::string_view problem;  // the beginning of the only message
};

class BadConfiguration : public ::testing::TestWithParam<BadInput> {};

TEST_P(BadConfiguration, IsRefusedByNameAndPlace) {
  const auto found = problems(GetParam().text);
  ASSERT_EQ(found.size(), 1U) << ::testing::PrintToString(found);
  EXPECT_TRUE(found[0].starts_with(GetParam().problem)) << found[0];
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadConfiguration,
    ::testing::Values(
        BadInput{"unknown_key", "[server]\nthreds = 1\n",
                 "berth.toml:2:1: server.threds: there is no such key; did you mean threads?"},
        BadInput{"unknown_section", "[sever]\nthreads = 1\n",
                 "berth.toml:1:2: sever: there is no such key; did you mean server?"},
        BadInput{"unknown_key_far_from_all", "[panel]\nxyzzyplugh = 1\n",
                 "berth.toml:2:1: panel.xyzzyplugh: there is no such key; here are: engine, monitors_per_caller"},
        BadInput{"unknown_key_of_a_listener", "[[listener]]\n[[listener]]\nadress = \"::1\"\n",
                 "berth.toml:3:1: listener.1.adress: there is no such key; did you mean address?"},
        BadInput{"top_level_key", "threads = 1\n", "berth.toml:1:1: threads: there is no such key"},
        BadInput{"wrong_type", "[server]\nthreads = \"2\"\n",
                 "berth.toml:2:1: server.threads: must be a whole number from 0 to 256"},
        BadInput{"fraction", "[server]\nthreads = 1.5\n", "berth.toml:2:1: server.threads: must be a whole"},
        BadInput{"date", "[server]\nthreads = 2026-01-01\n", "berth.toml:2:11: server.threads: must be a whole"},
        BadInput{"negative", "[server]\nthreads = -1\n", "berth.toml:2:1: server.threads: must be"},
        BadInput{"too_many", "[server]\nthreads = 257\n", "berth.toml:2:1: server.threads: must be"},
        BadInput{"port_zero", "[[listener]]\nport = 0\n", "berth.toml:2:1: listener.0.port: must be a whole number"},
        BadInput{"port_too_large", "[[listener]]\nport = 65536\n", "berth.toml:2:1: listener.0.port: must be"},
        BadInput{"no_address", "[[listener]]\naddress = \"localhost\"\n",
                 "berth.toml:2:1: listener.0.address: must be an IPv4 or IPv6 address"},
        BadInput{"duration_without_unit", "[server]\ndrain_time = \"10\"\n",
                 "berth.toml:2:1: server.drain_time: must be a duration such as \"10s\", from 0s to 10m"},
        BadInput{"duration_out_of_range", "[identity]\naccess_lifetime = \"10s\"\n",
                 "berth.toml:2:1: identity.access_lifetime: must be a duration"},
        BadInput{"duration_of_a_fraction", "[identity]\naccess_lifetime = \"60500ms\"\n",
                 "berth.toml:2:1: identity.access_lifetime: must be a duration"},
        BadInput{"size_in_decimal_units", "[server.limits]\nheader_bytes = \"16kB\"\n",
                 "berth.toml:2:1: server.limits.header_bytes: must be a size such as \"16KiB\""},
        BadInput{"relative_access_log", "[server]\naccess_log = \"access.log\"\n",
                 "berth.toml:2:1: server.access_log: must be an absolute path"},
        BadInput{"unknown_choice", "[log]\nlevel = \"loud\"\n",
                 "berth.toml:2:1: log.level: must be one of \"debug\", \"info\""},
        BadInput{"anonymous_for_everyone", "[identity]\nanonymous = \"always\"\n",
                 "berth.toml:2:1: identity.anonymous: must be one of \"never\", \"loopback\""},
        BadInput{"relative_path", "[state]\nfolder = \"state\"\n",
                 "berth.toml:2:1: state.folder: must be an absolute path"},
        BadInput{"path_with_a_nul", "[state]\nfolder = \"/a\\u0000b\"\n",
                 "berth.toml:2:1: state.folder: must be an absolute path"},
        BadInput{"broken_network", "[server]\ntrusted_proxies = [\"10.0.0.0/33\"]\n",
                 "berth.toml:2:1: server.trusted_proxies: must be an array of addresses"},
        BadInput{"mixed_list", "[server]\ntrusted_proxies = [\"::1\", 5]\n",
                 "berth.toml:2:19: server.trusted_proxies: must be an array of addresses"},
        BadInput{"origin_with_a_path", "[server]\nallowed_origins = [\"https://a.example/x\"]\n",
                 "berth.toml:2:1: server.allowed_origins: must be an array of origins"},
        BadInput{"unknown_contract", "[[listener]]\nmounts = [{ contract = \"lxd\", prefix = \"\" }]\n",
                 "berth.toml:2:1: listener.0.mounts: must be tables"},
        BadInput{"prefix_with_a_slash_at_its_end",
                 "[[listener]]\nmounts = [{ contract = \"lxd-panel\", prefix = \"/a/\" }]\n",
                 "berth.toml:2:1: listener.0.mounts: must be tables"},
        BadInput{"mount_with_another_key", "[[listener]]\nmounts = [{ contract = \"lxd-panel\", path = \"/a\" }]\n",
                 "berth.toml:2:10: listener.0.mounts: must be tables"},
        BadInput{"no_mounts", "[[listener]]\nmounts = []\n", "berth.toml:2:1: listener.0.mounts: must be tables"},
        BadInput{"two_contracts_on_a_path",
                 "[[listener]]\nmounts = [{ contract = \"lxd-panel\", prefix = \"\" }, "
                 "{ contract = \"lxd-panel\", prefix = \"\" }]\n",
                 "berth.toml:2:1: listener.0.mounts: two contracts under \"\""},
        BadInput{"same_port_twice", "[[listener]]\n[[listener]]\nport = 8000\n",
                 "default: listener.1.address: 127.0.0.1 port 8000 is already listened on"},
        BadInput{"certificate_without_key", "[[listener]]\ntls_certificate = \"/a\"\n",
                 "berth.toml:2:1: listener.0.tls_certificate: tls_certificate and tls_key belong together"},
        BadInput{"section_that_is_a_value", "server = 1\n", "berth.toml:1:10: server: must be a table: [server]"},
        BadInput{"listener_that_is_one_table", "[listener]\nport = 1\n",
                 "berth.toml:1:1: listener: must be tables, each under [[listener]]"},
        BadInput{"engine_without_a_name", "[engine]\nkind = \"lxd\"\n",
                 "berth.toml:2:1: engine.kind: belongs under [engine.<name>]"},
        BadInput{"engine_with_a_bad_name", "[engine.LXD]\n", "berth.toml:1:9: engine.LXD: a name is"},
        BadInput{"url_with_credentials",
                 "[engine.lxd]\nurl = \"https://a:b@192.0.2.1\"\nclient_certificate=\"/a\"\nclient_key=\"/b\"\n",
                 "berth.toml:2:1: engine.lxd.url: must be an https:// address without credentials"},
        BadInput{"url_without_a_certificate", "[engine.lxd]\nurl = \"https://192.0.2.1:8443\"\n",
                 "berth.toml:2:1: engine.lxd.url: a remote LXD needs client_certificate and client_key"},
        BadInput{"panel_of_no_engine", "[panel]\nengine = \"docker\"\n",
                 "berth.toml:2:1: panel.engine: there is no engine docker; configured are: lxd"},
        BadInput{"postgresql_without_a_connection", "[store]\ndialect = \"postgresql\"\n",
                 "berth.toml:2:1: store.dialect: PostgreSQL needs store.postgresql_file"},
        BadInput{"no_toml", "[server\n", "berth.toml:1:8: TOML: is not valid TOML"},
        BadInput{"key_twice", "[server]\nthreads = 1\nthreads = 2\n", "berth.toml:3:"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Configuration, TellsEveryProblemAtOnceInTheOrderOfTheFile) {
  const auto found = problems("[server]\nthreads = -1\ntreads = 1\n[log]\nlevel = \"loud\"\n[state]\nfolder = \"x\"\n",
                              {{"BERTH_PANEL_ENGIN", "lxd"}});
  ASSERT_EQ(found.size(), 5U) << ::testing::PrintToString(found);
  EXPECT_TRUE(found[0].starts_with("BERTH_PANEL_ENGIN: stands for no key; did you mean BERTH_PANEL_ENGINE?"));
  EXPECT_TRUE(found[1].starts_with("berth.toml:2:1: server.threads"));
  EXPECT_TRUE(found[2].starts_with("berth.toml:3:1: server.treads"));
  EXPECT_TRUE(found[3].starts_with("berth.toml:5:1: log.level"));
  EXPECT_TRUE(found[4].starts_with("berth.toml:7:1: state.folder"));
}

TEST(ConfigurationEnvironment, OverridesTheFile) {
  auto loaded = parse("[server]\nthreads = 2\n", {{"BERTH_SERVER_THREADS", "3"}});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->configuration.server.threads, 3U);
  EXPECT_EQ(setting(*loaded, "server.threads").origin, "BERTH_SERVER_THREADS");
}

TEST(ConfigurationEnvironment, ReachesEveryKey) {
  for (const auto& key : configuration_keys()) {
    const auto* section = find_section(key.section);
    std::string name = "BERTH_" + std::string(key.section);
    if (section->repetition == Repetition::list) name += "_0";
    if (section->repetition == Repetition::named) name += "_lxd";
    name += "_" + std::string(key.name);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c == '.' ? '_' : static_cast<char>(std::toupper(c)); });
    const auto loaded = parse("", {{name, std::string(key.fallback)}});
    ASSERT_TRUE(loaded) << name;
    EXPECT_TRUE(std::any_of(loaded->settings.begin(), loaded->settings.end(), [&](const Setting& candidate) {
      return candidate.origin == name;
    })) << name;
  }
}

TEST(ConfigurationEnvironment, SplitsArraysAtCommas) {
  const auto configuration = good("", {{"BERTH_SERVER_TRUSTED_PROXIES", "10.0.0.0/8, ::1"}});
  EXPECT_EQ(configuration.server.trusted_proxies, (std::vector<std::string>{"10.0.0.0/8", "::1"}));
}

TEST(ConfigurationEnvironment, ReadsMounts) {
  const auto configuration = good("", {{"BERTH_LISTENER_0_MOUNTS", "lxd-panel=/a,lxd-panel="}});
  EXPECT_EQ(configuration.listeners[0].mounts, (std::vector<MountPlace>{{"lxd-panel", "/a"}, {"lxd-panel", ""}}));
  EXPECT_EQ(configuration.listeners.size(), 4U) << "the other default listeners stay";
}

TEST(ConfigurationEnvironment, AddsListenersAndEngines) {
  const auto configuration = good(
      "",
      {{"BERTH_LISTENER_4_PORT", "9000"}, {"BERTH_ENGINE_LXD_2_KIND", "fake"}, {"BERTH_ENGINE_LXD_2_INSTANCES", "7"}});
  ASSERT_EQ(configuration.listeners.size(), 5U);
  EXPECT_EQ(configuration.listeners[4].port, 9000);
  ASSERT_TRUE(configuration.engines.contains("lxd-2"));
  EXPECT_EQ(configuration.engines.at("lxd-2").instances, 7U);
}

TEST(ConfigurationEnvironment, FindsAnEngineWithADashInItsName) {
  const auto configuration =
      good("[engine.my-lxd]\n[panel]\nengine=\"my-lxd\"\n", {{"BERTH_ENGINE_MY_LXD_CLIENT_KEY", "/k"}});
  EXPECT_EQ(configuration.engines.size(), 1U);
  EXPECT_EQ(configuration.engines.at("my-lxd").client_key, "/k");
}

TEST(ConfigurationEnvironment, LeavesVariablesOfOthersAlone) {
  EXPECT_TRUE(parse("", {{"BERTH_SERVER", "http://127.0.0.1:1"},
                         {"BERTH_TOKEN", "x"},
                         {"SERVER_THREADS", "x"},
                         {"BERTH_ADMIN_PASSWORD", "secret"}}));
}

TEST(ConfigurationEnvironment, NamesTheVariableOfABadValue) {
  EXPECT_TRUE(
      problems("", {{"BERTH_SERVER_THREADS", "many"}})[0].starts_with("BERTH_SERVER_THREADS: must be a whole number"));
  EXPECT_TRUE(problems("", {{"BERTH_SERVER_THREADS", "900"}})[0].starts_with(
      "BERTH_SERVER_THREADS: server.threads: must be a whole number"));
}

class ConfigurationFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "berth-configuration-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
};

TEST_F(ConfigurationFiles, AreNamedInProblems) {
  const auto file = folder_ / "x.toml";
  std::ofstream(file) << "[server]\nthreads = -1\n";
  const auto loaded = load_configuration({file, {}, true});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().fields().at(0).field, file.string() + ":2:1: server.threads");
}

TEST_F(ConfigurationFiles, ThatWereAskedForMustExist) {
  const auto loaded = load_configuration({folder_ / "absent.toml", {}, true});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().reason(), "configuration.missing");
}

TEST_F(ConfigurationFiles, MayBeNamedByTheEnvironment) {
  const auto file = folder_ / "x.toml";
  std::ofstream(file) << "[server]\nthreads = 5\n";
  const auto loaded = load_configuration({"", {{"BERTH_CONFIG", file.string()}}, true});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->configuration.server.threads, 5U);
  EXPECT_EQ(loaded->file, file);
}

TEST_F(ConfigurationFiles, OfSystemdCredentialsStandInForSecretFiles) {
  std::ofstream(folder_ / "identity.sealing_key") << "x";
  auto loaded = parse("", {{"CREDENTIALS_DIRECTORY", folder_.string()}});
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->configuration.identity.sealing_key_file, folder_ / "identity.sealing_key");
  EXPECT_EQ(setting(*loaded, "identity.sealing_key_file").origin, "credential identity.sealing_key");
  EXPECT_EQ(loaded->configuration.identity.admin_password_file, "");
}

TEST_F(ConfigurationFiles, OfSystemdCredentialsGiveWayToAConfiguredFile) {
  std::ofstream(folder_ / "identity.sealing_key") << "x";
  const auto configuration =
      good("[identity]\nsealing_key_file = \"/k\"\n", {{"CREDENTIALS_DIRECTORY", folder_.string()}});
  EXPECT_EQ(configuration.identity.sealing_key_file, "/k");
}

TEST(StateFolder, FollowsSystemdThenTheUser) {
  const auto folder = [](bool root, Environment environment) {
    const auto loaded = parse_configuration("", "", {"", std::move(environment), root});
    return loaded ? loaded->configuration.state.folder.string() : loaded.error().describe();
  };
  EXPECT_EQ(folder(false, {{"STATE_DIRECTORY", "/var/lib/berth"}, {"HOME", "/home/x"}}), "/var/lib/berth");
  EXPECT_EQ(folder(true, {{"HOME", "/root"}}), "/var/lib/berth");
  EXPECT_EQ(folder(false, {{"XDG_STATE_HOME", "/home/x/s"}, {"HOME", "/home/x"}}), "/home/x/s/berth");
  EXPECT_EQ(folder(false, {{"HOME", "/home/x"}}), "/home/x/.local/state/berth");
}

TEST(ConfigurationReference, NamesEveryKeyAndIsValidWhenUncommented) {
  const auto reference = configuration_reference();
  for (const auto& key : configuration_keys()) {
    EXPECT_NE(reference.find("\n#" + std::string(key.name) + " = "), std::string::npos) << key.name;
  }
  std::string uncommented;
  for (std::size_t at = 0; at < reference.size();) {
    const auto end = reference.find('\n', at);
    auto line = reference.substr(at, end - at);
    if (line.starts_with("#") && !line.starts_with("# ")) line.erase(0, 1);
    uncommented += line + "\n";
    at = end + 1;
  }
  const auto loaded = parse(uncommented);
  ASSERT_TRUE(loaded) << loaded.error().describe();
  EXPECT_EQ(loaded->configuration.listeners.size(), 1U);
}

TEST(ConfigurationReference, AsShippedChangesNothing) {
  const auto shipped = parse(configuration_reference());
  const auto plain = parse("");
  ASSERT_TRUE(shipped);
  EXPECT_TRUE(compare_settings(plain->settings, shipped->settings).needs_restart.empty());
}

TEST(ShowSettings, IsTomlWithTheOriginOfEachValue) {
  const auto loaded = parse("[server]\nthreads = 2\n", {{"BERTH_LOG_LEVEL", "debug"}});
  ASSERT_TRUE(loaded);
  const auto shown = show_settings(loaded->settings);
  EXPECT_NE(shown.find("threads = 2"), std::string::npos);
  EXPECT_NE(shown.find("# berth.toml:2:1"), std::string::npos);
  EXPECT_NE(shown.find("# BERTH_LOG_LEVEL"), std::string::npos);
  const auto again = parse(shown);
  ASSERT_TRUE(again) << again.error().describe();
  const auto change = compare_settings(loaded->settings, again->settings);
  EXPECT_TRUE(change.needs_restart.empty()) << ::testing::PrintToString(change.needs_restart);
  EXPECT_TRUE(change.reloadable.empty());
}

TEST(CompareSettings, PartsWhatARunningDaemonTakesOverFromWhatNeedsARestart) {
  const auto before = parse("[log]\nlevel = \"info\"\n");
  const auto after = parse("[log]\nlevel = \"debug\"\n[server]\nthreads = 1\n[engine.lxd]\n[engine.x]\nkind=\"fake\"");
  const auto change = compare_settings(before->settings, after->settings);
  EXPECT_EQ(change.reloadable, (std::vector<std::string>{"log.level"}));
  EXPECT_EQ(change.needs_restart.front(), "server.threads");
  EXPECT_NE(std::find(change.needs_restart.begin(), change.needs_restart.end(), "engine.x.kind"),
            change.needs_restart.end());
}

}  // namespace
}  // namespace berth::app
