#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fleet/fleet_fixture.h"

namespace berth::fleet {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class RegistriesTest : public FleetFixture {
 protected:
  Result<RegistryLogin> save(const std::string& registry, const std::string& username = "keeper",
                             const std::string& password = "open sesame") {
    return registries_->save({registry, username, Secret(password)}, admin().origin);
  }
  std::vector<std::string> known() {
    std::vector<std::string> names;
    for (const auto& login : take(registries_->list())) names.push_back(login.registry);
    return names;
  }
  /// "name:password" that an image is brought with; "" for nobody.
  std::string used_for(const std::string& image) {
    const auto credentials = take(registries_->credentials_for(image));
    return credentials ? credentials->username + ":" + std::string(credentials->password.reveal()) : "";
  }
  /// Everything that the store holds of registries.
  std::string stored() {
    return take(database_->read([](store::Transaction& transaction) -> Result<std::string> {
      std::string all;
      for (const auto& row : BERTH_TRY(transaction.query("SELECT * FROM registries"))) {
        all += row.text("registry") + row.text("username") + row.text("sealed_password");
      }
      return all;
    }));
  }
};

TEST_F(RegistriesTest, AnImageIsBroughtWithTheCredentialsOfItsRegistryAndNoOther) {
  take(save("docker.io", "hub", "1"));
  take(save("localhost", "local", "2"));
  take(save("registry.example.com", "plain", "3"));
  take(save("registry.example.com:5000", "port", "4"));
  EXPECT_EQ(used_for("busybox"), "hub:1");
  EXPECT_EQ(used_for("team/app:2"), "hub:1");
  EXPECT_EQ(used_for("docker.io/library/busybox"), "hub:1");
  EXPECT_EQ(used_for("index.docker.io/team/app"), "hub:1");
  EXPECT_EQ(used_for("localhost/app"), "local:2");
  EXPECT_EQ(used_for("localhost:5000/app"), "");
  EXPECT_EQ(used_for("registry.example.com/app:1"), "plain:3");
  EXPECT_EQ(used_for("registry.example.com:5000/team/app:1"), "port:4");
  EXPECT_EQ(used_for("other.example.com/app"), "");
}

TEST_F(RegistriesTest, WhatPeoplePasteIsUnderstood) {
  for (const auto& [given, meant] :
       std::vector<std::pair<std::string, std::string>>{{"https://index.docker.io/v1/", "docker.io"},
                                                        {"registry-1.docker.io", "docker.io"},
                                                        {"HTTPS://x.example/", ""},
                                                        {"https://GHCR.io/", "ghcr.io"},
                                                        {"127.0.0.1:5000", "127.0.0.1:5000"},
                                                        {"http://localhost:5000/v2/", "localhost:5000"}}) {
    const auto login = save(given);
    if (meant.empty()) {
      EXPECT_FALSE(login) << given;
    } else {
      EXPECT_EQ(take(login).registry, meant) << given;
    }
  }
}

TEST_F(RegistriesTest, WhatIsNoRegistryIsRefusedWithEveryBadField) {
  for (const char* bad :
       {"", "registry", "a b.c", "x.example/team", "x.example:port", "user@x.example", "../x", ".x"}) {
    const auto saved = save(bad);
    expect_error(saved, ErrorCode::invalid_argument, "registry.invalid");
    EXPECT_EQ(saved.error().fields().front().field, "registry") << bad;
  }
  const auto saved = save("", "a:b", "two\nlines");
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().fields().size(), 3u);
  EXPECT_THAT(saved.error().describe(), Not(HasSubstr("two")));
  EXPECT_THAT(known(), IsEmpty());
}

TEST_F(RegistriesTest, ThePasswordRestsSealedAndIsToldNobody) {
  take(save("x.example", "keeper", "open sesame"));
  EXPECT_THAT(stored(), Not(HasSubstr("open sesame")));
  for (const auto& record : take(audit_->list({.limit = 10})).records) {
    EXPECT_THAT(record.entry.details, Not(HasSubstr("sesame")));
  }
}

TEST_F(RegistriesTest, SavingAgainReplacesThePasswordAndKeepsTheFirstDate) {
  const auto first = take(save("x.example", "keeper", "old"));
  const auto second = take(save("x.example", "keeper2", "new"));
  EXPECT_EQ(second.created_at, first.created_at);
  EXPECT_THAT(known(), ElementsAre("x.example"));
  EXPECT_EQ(used_for("x.example/app"), "keeper2:new");
  EXPECT_THAT(audited_actions(), Contains("registry.add"));
  EXPECT_THAT(audited_actions(), Contains("registry.update"));
}

TEST_F(RegistriesTest, ARemovedOneIsUsedNoMore) {
  take(save("x.example"));
  take(registries_->remove("https://x.example/", admin().origin));
  EXPECT_EQ(used_for("x.example/app"), "");
  expect_error(registries_->remove("x.example", admin().origin), ErrorCode::not_found, "registry.not_found");
  EXPECT_THAT(audited_actions(), Contains("registry.remove"));
}

TEST_F(RegistriesTest, PasswordsAreSealedAnewUnderAFreshKey) {
  take(save("x.example", "keeper", "secret"));
  const auto rotated = identity::Sealing::from_keys({Secret(std::string(32, 'n')), Secret(std::string(32, 's'))});
  EXPECT_EQ(take(Registries::reseal(*database_, rotated)), 1);
  EXPECT_EQ(take(Registries::reseal(*database_, rotated)), 0);
  const auto fresh = identity::Sealing::from_keys({Secret(std::string(32, 'n'))});
  const Registries after({*database_, *audit_, fresh, system_clock()});
  EXPECT_EQ(take(after.credentials_for("x.example/app"))->password.reveal(), "secret");
  EXPECT_EQ(registries_->credentials_for("x.example/app").error().reason(), "sealing.broken");
}

TEST_F(RegistriesTest, ContainersAreMadeAndReplacedWithThem) {
  begin();
  engine("one").publish_image("x.example/app:1");
  engine("one").publish_image("x.example/app:2");
  engine("one").want_login("x.example", "keeper", "open sesame");
  const auto refused = make(alice(), wish("web", "x.example/app:1"));
  expect_error(refused, ErrorCode::unavailable, "image.pull_failed");
  EXPECT_THAT(refused.error().message().en, HasSubstr("no credentials for x.example are stored"));
  take(save("x.example", "keeper", "guess"));
  const auto wrong = make(alice(), wish("web", "x.example/app:1"));
  EXPECT_THAT(wrong.error().message().en, HasSubstr("the stored credentials for x.example were refused"));
  EXPECT_THAT(wrong.error().describe(), Not(HasSubstr("guess")));
  take(save("x.example"));
  take(make(alice(), wish("web", "x.example/app:1")));
  ContainerChange newer;
  newer.image = "x.example/app:2";
  take(containers_->update(alice(), "web", newer));
  EXPECT_EQ(seen("web")->image, "x.example/app:2");
}

TEST_F(RegistriesTest, AContainerThatMovesBringsItsImageWithThem) {
  begin({"one", "two"});
  for (const char* server : {"one", "two"}) {
    engine(server).publish_image("x.example/app:1");
    engine(server).want_login("x.example", "keeper", "open sesame");
  }
  take(save("x.example"));
  auto wanted = wish("web", "x.example/app:1");
  wanted.server = "one";
  take(make(alice(), wanted));
  const auto ticket = take(containers_->relocate(admin(), "web", "two"));
  EXPECT_EQ(take(ticket->wait(soon())).state, operations::State::succeeded);
  EXPECT_EQ(seen("web")->server_name, "two");
}

}  // namespace
}  // namespace berth::fleet
