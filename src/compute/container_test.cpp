#include "compute/container.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace berth::compute {
namespace {

bool complains_of(const ContainerSettings& settings, std::string_view field) {
  const auto checked = check_container_settings(settings);
  if (checked) return false;
  return std::ranges::any_of(checked.error().fields(), [&](const FieldError& error) { return error.field == field; });
}

TEST(ContainerSettingsTest, AreFineWhenEmptyOrFull) {
  EXPECT_TRUE(check_container_settings({}));
  const ContainerSettings full{.command = {"nginx", "-g", "daemon off;"},
                               .entrypoint = {"/entry.sh"},
                               .environment = {{"GREETING", "你好=世界\n"}},
                               .ports = {{80, Protocol::tcp, 8080, ""}, {80, Protocol::udp, 8080, ""}, {443}},
                               .mounts = {{"data", "/var/lib/data"}, {"/srv/site", "/usr/share/site", true}},
                               .networks = {"front"},
                               .restart_policy = RestartPolicy::unless_stopped,
                               .labels = {{"com.example.team", "a"}},
                               .working_directory = "/app",
                               .user = "1000:1000",
                               .hostname = "web"};
  EXPECT_TRUE(check_container_settings(full));
}

TEST(ContainerSettingsTest, AreRefusedFieldByField) {
  EXPECT_TRUE(complains_of({.command = {std::string("a\0b", 3)}}, "command"));
  EXPECT_TRUE(complains_of({.environment = {{"A=B", "c"}}}, "environment.A=B"));
  EXPECT_TRUE(complains_of({.environment = {{"A", std::string(70'000, 'x')}}}, "environment"));
  EXPECT_TRUE(complains_of({.labels = {{"berth.owner", "me"}}}, "labels.berth.owner"));
  EXPECT_TRUE(complains_of({.ports = {{0}}}, "ports"));
  EXPECT_TRUE(complains_of({.ports = {{80, Protocol::tcp, 8080, ""}, {81, Protocol::tcp, 8080, ""}}}, "ports"));
  EXPECT_TRUE(complains_of({.mounts = {{"../etc", "/x"}}}, "mounts"));
  EXPECT_TRUE(complains_of({.mounts = {{"/srv/../etc", "/x"}}}, "mounts"));
  EXPECT_TRUE(complains_of({.mounts = {{"data", "relative"}}}, "mounts"));
  EXPECT_TRUE(complains_of({.mounts = {{"data", "/"}}}, "mounts"));
  EXPECT_TRUE(complains_of({.mounts = {{"one", "/x"}, {"two", "/x"}}}, "mounts"));
  EXPECT_TRUE(complains_of({.networks = {"a b"}}, "networks"));
  EXPECT_TRUE(complains_of({.working_directory = "app"}, "working_directory"));
  EXPECT_TRUE(complains_of({.hostname = "a b"}, "hostname"));
}

TEST(ContainerSettingsTest, NameEveryBadFieldAtOnce) {
  const auto checked = check_container_settings({.ports = {{0}}, .networks = {""}, .hostname = "-"});
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().fields().size(), 3U);
}

TEST(ContainerNameTest, FollowsDockersRule) {
  for (const char* good : {"web1", "web_1", "a.b-c", "0a", "peaceful_bohr"})
    EXPECT_TRUE(check_container_name(good)) << good;
  for (const std::string& bad :
       {std::string(""), std::string("a"), std::string("-a"), std::string("a b"), std::string("a/b"),
        std::string("名称"), std::string(129, 'a'), std::string(64, 'a')}) {
    EXPECT_FALSE(check_container_name(bad)) << bad;
  }
}

TEST(ImageReferenceTest, FollowsTheDistributionSpecification) {
  const std::string digest = "@sha256:" + std::string(64, 'a');
  for (const std::string& good :
       {std::string("busybox"), std::string("library/nginx:1.25"), std::string("localhost/x"),
        std::string("registry.example.com:5000/team/app__x:V1.0-rc_1"), "busybox" + digest, "a/b:c" + digest}) {
    EXPECT_TRUE(check_image_reference(good)) << good;
  }
  for (const std::string& bad :
       {std::string(""), std::string("Nginx"), std::string("a b"), std::string("a//b"), std::string("a/"),
        std::string("/a"), std::string("a:"), std::string("a@sha256:12"), std::string("a:.b"), std::string("a_-b_"),
        std::string("../etc"), std::string("a?b=c"), std::string(600, 'a')}) {
    EXPECT_FALSE(check_image_reference(bad)) << bad;
  }
}

TEST(RegistryTest, IsTheFirstPartOfAReferenceAsDockerTellsItApart) {
  for (const auto& [reference, registry] :
       std::vector<std::pair<std::string, std::string>>{{"busybox", "docker.io"},
                                                        {"busybox:1.36", "docker.io"},
                                                        {"team/app", "docker.io"},
                                                        {"index.docker.io/team/app", "docker.io"},
                                                        {"localhost/app", "localhost"},
                                                        {"localhost:5000/app:1", "localhost:5000"},
                                                        {"127.0.0.1:5000/team/app", "127.0.0.1:5000"},
                                                        {"Registry.Example.com/app", "registry.example.com"},
                                                        {"registry:5000/app", "registry:5000"}}) {
    EXPECT_EQ(registry_of(reference), registry) << reference;
  }
}

TEST(RegistryTest, IsReadAsPeoplePasteIt) {
  for (const auto& [text, registry] :
       std::vector<std::pair<std::string, std::string>>{{"docker.io", "docker.io"},
                                                        {"https://index.docker.io/v1/", "docker.io"},
                                                        {"GHCR.io", "ghcr.io"},
                                                        {"http://localhost:5000/", "localhost:5000"},
                                                        {"https://registry.example.com/v2/", "registry.example.com"}}) {
    const auto parsed = parse_registry(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, registry) << text;
  }
  for (const char* bad : {"", "registry", "https://", "x.example/team", "user@x.example",
                          "x.example:", "x.example:port", "a b.c", "..", "-x.example", "ftp://x.example"}) {
    EXPECT_FALSE(parse_registry(bad)) << bad;
  }
}

TEST(ImageReferenceTest, HasAFormThatEnginesShow) {
  const std::string digest = "@sha256:" + std::string(64, 'a');
  for (const auto& [reference, familiar] : std::vector<std::pair<std::string, std::string>>{
           {"busybox", "busybox:latest"},
           {"docker.io/library/busybox:1", "busybox:1"},
           {"library/busybox", "busybox:latest"},
           {"docker.io/team/app", "team/app:latest"},
           {"x.example:5000/library/app", "x.example:5000/library/app:latest"},
           {"team/app" + digest, "team/app" + digest}}) {
    EXPECT_EQ(familiar_reference(reference), familiar) << reference;
  }
}

TEST(RestartPolicyTest, HasTheEnginesWords) {
  for (const auto policy :
       {RestartPolicy::no, RestartPolicy::on_failure, RestartPolicy::always, RestartPolicy::unless_stopped}) {
    EXPECT_EQ(parse_restart_policy(name(policy)), policy);
  }
  EXPECT_FALSE(parse_restart_policy("sometimes"));
}

}  // namespace
}  // namespace berth::compute
