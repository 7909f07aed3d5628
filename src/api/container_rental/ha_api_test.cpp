// High availability, as container-rental.md has it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/container_rental/ha_routes.h"
#include "api/container_rental/rental_envelope.h"
#include "fleet/fleet_fixture.h"
#include "identity/identity_service.h"

namespace berth::api::container_rental {
namespace {

using berth::testing::eventually;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class HaApiTest : public fleet::FleetFixture {
 protected:
  void SetUp() override {
    begin({"one", "two"});
    identity::IdentityService::Settings cheap;
    cheap.password_memory_bytes = 8192;
    cheap.password_passes = 1;
    identity_ = take(identity::IdentityService::create(cheap, *store_, *audit_, sealing_, system_clock()));
    for (const auto& [name, role] : {std::pair{"root", identity::Role::admin}, {"vera", identity::Role::viewer}}) {
      take(identity_->create_user({name, "", Secret(kPassword), role}, {}));
    }
    leases_ = take(open_leases({}));
    ha_ = std::make_unique<fleet::HighAvailability>(
        fleet::HighAvailability::Settings{},
        fleet::HighAvailability::Parts{*containers_, *registry_, *operations_, *leases_});
    authenticator_ = std::make_unique<Authenticator>(*identity_, system_clock(), Anonymous::never);
    contract_ = std::make_unique<Contract>(Contract::Settings{"container-rental", {"租", "Rent"}, "1"},
                                           std::make_shared<RentalEnvelope>(), *authenticator_, metrics_);
    add_ha_routes(*contract_, {*ha_, *containers_, *containers_, *registry_, pool_});
    take(contract_->seal());
  }
  ~HaApiTest() override {
    ha_->stop();
    operations_->drain(soon());
    contract_.reset();
    ha_.reset();
  }

  http::Response post(const std::string& target, const std::string& body, const std::string& who = "root") {
    http::Request request;
    request.method = http::Method::post;
    request.target = "/container-rental" + target;
    request.path = target.substr(0, target.find('?'));
    if (request.path.size() < target.size()) request.query = target.substr(request.path.size() + 1);
    request.body = body;
    request.peer = {"192.0.2.1", false, true};
    request.headers.add("Host", "rental.example:5000");
    const auto tokens = take(identity_->login(who, Secret(kPassword), "", {}));
    request.headers.add("Authorization", "Bearer " + tokens.access_token);
    auto decision = contract_->dispatch(request);
    if (auto* answer = std::get_if<http::Response>(&decision)) return std::move(*answer);
    return std::get<http::Deferred>(decision).work();
  }
  void put(const std::string& name, const std::string& server) {
    auto wanted = wish(name);
    wanted.server = server;
    wanted.limits.memory_bytes = 8ULL << 30U;
    take(make(admin(), wanted));
  }
  void cut_off(const std::string& server) {
    engine(server).faults().refuse_connections(true);
    ASSERT_TRUE(eventually([&] {
      const auto view = take(registry_->find(server));
      return view.status.health == fleet::ServerHealth::unreachable &&
             !registry_->unit(view.server.id)->inventory->snapshot()->health.connected;
    }));
  }

  static constexpr const char* kPassword = "a long enough one";
  std::unique_ptr<identity::IdentityService> identity_;
  std::unique_ptr<fleet::LeaseBook> leases_;
  std::unique_ptr<fleet::HighAvailability> ha_;
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<Contract> contract_;
  WorkerPool pool_{{.name = "changes", .threads = 1}};
};

TEST_F(HaApiTest, AFailoverAnswersAsTheDocumentSaysAndTellsWhatMoved) {
  put("web", "one");
  cut_off("one");
  auto answer = post("/api/ha/failover", R"({"server":"one"})");
  EXPECT_EQ(answer.status, 409);
  EXPECT_THAT(answer.body, HasSubstr("confirmed: true"));
  answer = post("/api/ha/failover", R"({"server":"one","confirmed":true})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_THAT(answer.body, StartsWith(R"({"message":"Failover operation successful","operation":")"));
  EXPECT_THAT(answer.body, HasSubstr(R"("moved":[{"container_name":"web",)"));
  EXPECT_THAT(answer.body, HasSubstr(R"("from":"one","to":"two","archive":null,"lost":[])"));
  EXPECT_EQ(post("/api/ha/failover", R"({"server":"two","confirmed":true})").status, 409) << "it answers";
  EXPECT_EQ(post("/api/ha/failover", R"({"server_id":99})").status, 404);
  EXPECT_EQ(post("/api/ha/failover", R"({"server_id":"x"})").status, 400);
  EXPECT_EQ(post("/api/ha/failover", "").status, 200) << "nothing is down that is not done";
}

TEST_F(HaApiTest, DisasterRecoveryWaitsForAPersonsWordToo) {
  put("web", "one");
  cut_off("one");
  EXPECT_EQ(post("/api/ha/disaster_recovery", "").status, 409);
  const auto answer = post("/api/ha/disaster_recovery", R"({"confirmed":true})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_THAT(answer.body, StartsWith(R"({"message":"Disaster recovery operation successful","operation":")"));
  EXPECT_THAT(answer.body, HasSubstr(R"("container_name":"web")"));
}

TEST_F(HaApiTest, ALoadBalanceIsPlannedAndDone) {
  for (const auto* name : {"a1", "a2", "a3", "a4"}) put(name, "one");
  auto answer = post("/api/ha/load_balance", R"({"dry_run":true})");
  EXPECT_THAT(answer.body, StartsWith(R"({"message":"Load balance operation successful","plan":[{"container_name":)"));
  EXPECT_EQ(on("two").size(), 0u);
  answer = post("/api/ha/load_balance", "");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_THAT(answer.body, StartsWith(R"({"message":"Load balance operation successful","operation":")"));
  EXPECT_EQ(on("two").size(), 2u);
}

TEST_F(HaApiTest, AContainerIsReplacedByImageServerOrBoth) {
  for (const auto* server : {"one", "two"}) engine(server).publish_image("web:2");
  put("web", "one");
  auto answer = post("/api/ha/replace_container", R"({"container_name":"web","image":"web:2"})");
  EXPECT_EQ(answer.body, R"({"message":"Docker container replaced successfully","moved":[]})");
  answer = post("/api/ha/replace_container", R"({"container_name":"web","server":"two"})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_THAT(answer.body, HasSubstr(R"("from":"one","to":"two")"));
  EXPECT_EQ(seen("web")->image, "web:2");
  EXPECT_EQ(seen("web")->server_name, "two");
  EXPECT_EQ(post("/api/ha/replace_container", R"({"container_name":"web"})").status, 400);
  EXPECT_EQ(post("/api/ha/replace_container", R"({"container_name":"web","server":"two"})").status, 409);
  EXPECT_EQ(post("/api/ha/replace_container", R"({"container_name":"none","server":"one"})").status, 404);
}

TEST_F(HaApiTest, AServerIsDrainedAndWhatIsThereMovedIfThatIsAsked) {
  put("web", "one");
  put("api", "one");
  auto pinned = wish("pinned");
  pinned.server = "one";
  pinned.settings.mounts.push_back({"/srv/data", "/data", false});
  take(make(admin(), pinned));
  const std::string drain = "/api/servers/" + std::to_string(take(registry_->find("one")).server.id.value()) + "/drain";
  auto answer = post(drain, "");
  EXPECT_EQ(answer.body, R"({"message":"Server is draining"})");
  EXPECT_EQ(take(registry_->find("one")).server.placement, fleet::Placement::draining);
  EXPECT_EQ(on("one").size(), 3u);
  engine("one").faults().hang_call("save_root", true);
  answer = post(drain + "?move=true&wait=0", "");
  EXPECT_EQ(answer.status, 202);
  EXPECT_THAT(answer.headers.find("Location").value_or(""), StartsWith("operations/"));
  engine("one").faults().hang_call("save_root", false);
  // The same again joins what runs, or finds nothing left to do but what stays.
  answer = post(drain + "?move=true", "");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_THAT(answer.body, StartsWith(R"({"message":"Server is draining","operation":")"));
  EXPECT_THAT(answer.body, HasSubstr(R"("not_moved":[{"container_name":"pinned")"));
  EXPECT_EQ(seen("web")->server_name, "two");
  EXPECT_EQ(seen("api")->server_name, "two");
  EXPECT_EQ(seen("pinned")->server_name, "one");
  EXPECT_EQ(post("/api/servers/999/drain?move=true", "").status, 404);
  EXPECT_EQ(post(drain + "?move=perhaps", "").status, 400);
  EXPECT_EQ(post(drain + "?move=true&wait=601", "").status, 400);
  EXPECT_EQ(post(drain + "?move=true", "", "vera").status, 403);
}

TEST_F(HaApiTest, WhatTakesLongerThanTheWaitIsAnOperation) {
  put("web", "one");
  engine("one").faults().hang_call("save_root", true);
  const auto answer = post("/api/ha/replace_container?wait=0", R"({"container_name":"web","server":"two"})");
  EXPECT_EQ(answer.status, 202);
  EXPECT_THAT(answer.headers.find("Location").value_or(""), StartsWith("operations/"));
  engine("one").faults().hang_call("save_root", false);
  EXPECT_TRUE(eventually([&] { return settled() && seen("web")->server_name == "two"; }));
}

TEST_F(HaApiTest, OnlyThoseWhoManageServersMoveAnything) {
  for (const auto* path : {"failover", "load_balance", "disaster_recovery", "replace_container"}) {
    EXPECT_EQ(post(std::string("/api/ha/") + path, "{\"container_name\":\"web\"}", "vera").status, 403) << path;
  }
}

}  // namespace
}  // namespace berth::api::container_rental
