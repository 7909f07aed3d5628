// Access control lists and rentals, as container-rental.md has them.
#include <gtest/gtest.h>

#include "api/container_rental/acl_routes.h"
#include "api/container_rental/rental_envelope.h"
#include "api/container_rental/rental_routes.h"
#include "identity/identity_service.h"
#include "rental/rental_fixture.h"

namespace berth::api::container_rental {
namespace {

using http::Method;
using identity::Role;
using rental::must;

constexpr const char* kPassword = "a long enough one";

class RentalApiTest : public rental::RentalTest {
 protected:
  RentalApiTest() {
    identity::IdentityService::Settings cheap;
    cheap.password_memory_bytes = 8192;
    cheap.password_passes = 1;
    identity_ = must(identity::IdentityService::create(cheap, *database_, *audit_, sealing_, clock_));
    for (const auto& [name, role] :
         {std::pair{"root", Role::admin}, {"mia", Role::manager}, {"vera", Role::viewer}, {"bob", Role::user}}) {
      const auto user = must(identity_->create_user({name, "", Secret(kPassword), role}, {}));
      if (role == Role::user) bob_ = user.id;
    }
    acl_ = must(rental::AclService::create({*database_, *audit_, clock_, fleet_, table_},
                                           rental::AclLinks(sealing_.derive("acl-files"), clock_)));
    authenticator_ = std::make_unique<Authenticator>(*identity_, clock_, Anonymous::never);
    contract_ = std::make_unique<Contract>(Contract::Settings{"container-rental", {"租", "Rent"}, "1"},
                                           std::make_shared<RentalEnvelope>(), *authenticator_, place_.metrics());
    add_acl_routes(*contract_, {*acl_, *identity_, clock_, pool_});
    add_rental_routes(*contract_, {service(), fleet_, pool_, pool_});
    must(contract_->seal());
    web_ = fleet_.add("web");
  }
  ~RentalApiTest() override {
    acl_.reset();
    identity_.reset();
  }

  http::Response ask(const std::string& who, Method method, const std::string& target, const std::string& body = "",
                     const std::string& language = "") {
    http::Request request;
    request.method = method;
    request.target = "/container-rental" + target;
    request.path = target.substr(0, target.find('?'));
    if (request.path.size() < target.size()) request.query = target.substr(request.path.size() + 1);
    request.body = body;
    request.peer = {"192.0.2.1", false, true};
    if (language == "zh") request.language = Language::zh;
    request.headers.add("Host", "rental.example:5000");
    if (!who.empty()) {
      const auto tokens = must(identity_->login(who, Secret(kPassword), "", {}));
      request.headers.add("Authorization", "Bearer " + tokens.access_token);
    }
    auto decision = contract_->dispatch(request);
    if (auto* answer = std::get_if<http::Response>(&decision)) return std::move(*answer);
    return std::get<http::Deferred>(decision).work();
  }
  http::Response post(const std::string& target, const std::string& body, const std::string& who = "root") {
    return ask(who, Method::post, target, body);
  }
  http::Response get(const std::string& target, const std::string& who = "root") {
    return ask(who, Method::get, target);
  }
  std::string bob(const std::string& rest) const {
    return R"({"user_id":)" + std::to_string(bob_.value()) + "," + rest + "}";
  }

  identity::Sealing sealing_ = identity::Sealing::from_keys({Secret(std::string(32, 's'))});
  std::unique_ptr<identity::IdentityService> identity_;
  rental::AccessTable table_;
  std::unique_ptr<rental::AclService> acl_;
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<Contract> contract_;
  WorkerPool pool_{{.name = "reads", .threads = 1}};
  UserId bob_;
  fleet::ContainerId web_;
};

TEST_F(RentalApiTest, AnAclIsGeneratedAndUpdatedAsTheDocumentSays) {
  auto answer = post("/api/acl/generate", bob(R"("permissions":["read","write"])"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"message":"ACL generated successfully"})");
  answer = post("/api/acl/update", bob(R"("permissions":["read","write","execute"])"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"message":"ACL updated successfully"})");
  EXPECT_TRUE(table_.allows(bob_, web_, fleet::Right::execute));
  answer = get("/api/acl/logs/" + std::to_string(bob_.value()));
  EXPECT_EQ(answer.body,
            R"({"user_id":)" + std::to_string(bob_.value()) +
                R"(,"logs":[{"action":"updated","timestamp":"2024-12-01T12:00:00Z","actor":"root",)"
                R"("container_name":null,"before":["read","write"],"after":["read","write","execute"]},)"
                R"({"action":"created","timestamp":"2024-12-01T12:00:00Z","actor":"root","container_name":null,)"
                R"("before":[],"after":["read","write"]}]})");
  EXPECT_EQ(answer.headers.find("X-Total-Count"), "2");
}

TEST_F(RentalApiTest, AnAclIsRefusedWithTheDocumentsEnvelope) {
  const auto bad = post("/api/acl/generate", R"({"user_id":"x","permissions":["fly"]})");
  EXPECT_EQ(bad.status, 400);
  EXPECT_NE(bad.body.find(R"({"error":"Invalid data: )"), std::string::npos) << bad.body;
  EXPECT_NE(bad.body.find("user_id"), std::string::npos);
  EXPECT_NE(bad.body.find("permissions"), std::string::npos);
  EXPECT_EQ(post("/api/acl/generate", bob(R"("permissions":[])")).status, 400);
  EXPECT_EQ(post("/api/acl/generate", "{}").status, 400);
  EXPECT_EQ(post("/api/acl/generate", R"({"user_id":9999,"permissions":["read"]})").status, 404);
  EXPECT_EQ(post("/api/acl/generate", bob(R"("permissions":["read"],"container_name":"none")")).status, 404);
  EXPECT_EQ(post("/api/acl/update", bob(R"("permissions":["read"])")).status, 404);
  EXPECT_EQ(post("/api/acl/generate", bob(R"("permissions":["read"])")).status, 200);
  EXPECT_EQ(post("/api/acl/generate", bob(R"("permissions":["read"])")).status, 409);
}

TEST_F(RentalApiTest, AnAclIsListedAndRevoked) {
  post("/api/acl/generate", bob(R"("permissions":["execute"],"container_name":"web")"));
  const std::string list = "/api/acl/list/" + std::to_string(bob_.value());
  EXPECT_NE(get(list).body.find(R"("acl":[{"container_name":"web","permissions":["read","execute"])"),
            std::string::npos);
  EXPECT_EQ(post("/api/acl/revoke", bob(R"("container_name":"web")")).body,
            R"({"message":"ACL revoked successfully","revoked":1})");
  EXPECT_NE(get(list).body.find(R"("acl":[])"), std::string::npos);
  EXPECT_EQ(post("/api/acl/revoke", bob(R"("container_name":"web")")).status, 404);
}

TEST_F(RentalApiTest, TheAclFileIsReadByItsLinkAloneUntilItExpires) {
  post("/api/acl/generate", bob(R"("permissions":["write"],"container_name":"web")"));
  const auto answer = get("/api/acl/download/bob");
  const std::string beginning =
      R"({"acl_file":"https://rental.example:5000/container-rental/api/acl/files/acl-)" + std::to_string(bob_.value());
  ASSERT_EQ(answer.body.substr(0, beginning.size()), beginning) << answer.body;
  const std::size_t path = answer.body.find("/api/acl/files");
  const std::string link = answer.body.substr(path, answer.body.size() - path - 2);
  const auto file = get(link, "");
  EXPECT_EQ(file.status, 200) << file.body;
  EXPECT_EQ(file.headers.find("Content-Disposition"), "attachment; filename=\"acl-bob.json\"");
  EXPECT_NE(file.body.find(R"("username":"bob")"), std::string::npos) << file.body;
  EXPECT_NE(file.body.find(R"("permissions":["read","write"])"), std::string::npos) << file.body;
  EXPECT_EQ(get(link.substr(0, link.size() - 1), "").status, 403);
  EXPECT_EQ(get(link.substr(0, link.find('?')), "").status, 400);
  clock_.pass(std::chrono::minutes(10));
  EXPECT_EQ(get(link, "").status, 403);
}

TEST_F(RentalApiTest, AUserReadsItsOwnAclAlone) {
  const std::string own = std::to_string(bob_.value());
  EXPECT_EQ(get("/api/acl/list/" + own, "bob").status, 200);
  EXPECT_EQ(get("/api/acl/logs/" + own, "bob").status, 200);
  EXPECT_EQ(get("/api/acl/download/bob", "bob").status, 200);
  for (const auto* path : {"/api/acl/list/1", "/api/acl/logs/1", "/api/acl/download/root", "/api/acl/download/none"}) {
    EXPECT_EQ(get(path, "bob").status, 404) << path;
  }
  EXPECT_EQ(get("/api/acl/list/" + own, "vera").status, 200);
  EXPECT_EQ(get("/api/acl/list/" + own, "").status, 401);
  for (const auto* who : {"bob", "vera"}) {
    EXPECT_EQ(post("/api/acl/generate", bob(R"("permissions":["read"])"), who).status, 403) << who;
    EXPECT_EQ(post("/api/acl/revoke", bob(R"("container_name":"web")"), who).status, 403) << who;
  }
  EXPECT_EQ(post("/api/acl/generate", bob(R"("permissions":["read"])"), "mia").status, 200);
}

TEST_F(RentalApiTest, ARentalLivesAsTheDocumentSays) {
  auto answer = post("/api/rental/create", bob(R"("container_name":"web","expiry_date":"2024-12-30")"));
  EXPECT_EQ(answer.body, R"({"message":"Rental created successfully","rental_id":1})");
  EXPECT_EQ(get("/api/rental/check_expiry").body, R"({"expired_rentals":[]})");
  answer = post("/api/rental/send_expiry_notifications", bob(R"("expiry_date":"2024-12-30")"));
  EXPECT_EQ(answer.body, R"({"message":"Expiry notification sent","sent":1,"sent_before":0,"unreachable":0})");
  live(std::chrono::days(30), std::chrono::hours(6));
  EXPECT_EQ(get("/api/rental/check_expiry").body,
            R"({"expired_rentals":[{"rental_id":1,"user_id":)" + std::to_string(bob_.value()) +
                R"(,"expiry_date":"2024-12-30","container_name":"web","status":"expired"}]})");
  EXPECT_FALSE(fleet_.runs(web_));
  answer = post("/api/rental/renew", R"({"rental_id":1,"new_expiry_date":"2025-12-31"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_NE(answer.body.find(R"({"message":"Rental renewed successfully")"), std::string::npos);
  EXPECT_NE(answer.body.find(R"("status":"active")"), std::string::npos);
  EXPECT_TRUE(fleet_.runs(web_));
  answer = ask("root", Method::delete_, "/api/rental/delete/1");
  EXPECT_EQ(answer.body, R"({"message":"Rental deleted successfully"})");
  EXPECT_EQ(ask("root", Method::delete_, "/api/rental/delete/1").status, 404);
}

TEST_F(RentalApiTest, ARentalIsRefusedWithTheDocumentsEnvelope) {
  const std::string good = R"("container_name":"web","expiry_date":"2024-12-30")";
  EXPECT_EQ(post("/api/rental/create", bob(good)).status, 200);
  struct Case {
    const char* path;
    std::string body;
    int status;
    const char* named;
  };
  for (const Case& each : {
           Case{"/api/rental/create", bob(R"("container_name":"web")"), 400, "expiry_date"},
           Case{"/api/rental/create", bob(R"("container_name":"web","expiry_date":"30.12.2024")"), 400, "expiry_date"},
           Case{"/api/rental/create", bob(R"("container_name":"web","expiry_date":"2020-01-01")"), 400, "expiry_date"},
           Case{"/api/rental/create", bob(good), 409, "already"},
           Case{"/api/rental/create", bob(R"("container_name":"none","expiry_date":"2024-12-30")"), 404, "ontainer"},
           Case{"/api/rental/create", R"({"user_id":9999,)" + good + "}", 404, "User not found"},
           Case{"/api/rental/renew", R"({"rental_id":1,"new_expiry_date":"2020-01-01"})", 400, "new_expiry_date"},
           Case{"/api/rental/renew", R"({"rental_id":1,"new_expiry_date":"2024-12-29"})", 400, "new_expiry_date"},
           Case{"/api/rental/renew", R"({"rental_id":"x","new_expiry_date":"x"})", 400, "rental_id"},
           Case{"/api/rental/renew", R"({"rental_id":77,"new_expiry_date":"2025-12-31"})", 404, "Rental not found"},
           Case{"/api/rental/send_expiry_notifications", bob(R"("expiry_date":"2024-12-29")"), 404, "no rental"},
           Case{"/api/rental/send_expiry_notifications", bob(R"("expiry_date":"soon")"), 400, "expiry_date"},
       }) {
    const auto answer = post(each.path, each.body);
    EXPECT_EQ(answer.status, each.status) << each.path << each.body << answer.body;
    EXPECT_EQ(answer.body.substr(0, 10), R"({"error":")") << answer.body;
    EXPECT_NE(answer.body.find(each.named), std::string::npos) << answer.body;
  }
}

TEST_F(RentalApiTest, AUserSeesItsOwnRentalsAlone) {
  post("/api/rental/create", bob(R"("container_name":"web","expiry_date":"2024-12-30")"));
  rent("shop", "2024-12-01");
  clock_.pass(std::chrono::hours(12));
  work();
  EXPECT_NE(get("/api/rental/list", "bob").body.find(R"("total":1})"), std::string::npos);
  EXPECT_NE(get("/api/rental/list").body.find(R"("total":2})"), std::string::npos);
  EXPECT_NE(get("/api/rental/list?status=expired", "vera").body.find(R"("container_name":"shop")"), std::string::npos);
  EXPECT_EQ(get("/api/rental/list?user_id=" + std::to_string(alice_.value()), "bob").body,
            R"({"rentals":[],"total":0})");
  EXPECT_EQ(get("/api/rental/check_expiry", "bob").body, R"({"expired_rentals":[]})");
  EXPECT_EQ(get("/api/rental/1", "bob").status, 200);
  EXPECT_EQ(get("/api/rental/2", "bob").status, 404);
  EXPECT_EQ(post("/api/rental/renew", R"({"rental_id":1,"new_expiry_date":"2025-12-31"})", "bob").status, 403);
  EXPECT_EQ(ask("vera", Method::delete_, "/api/rental/delete/1").status, 403);
}

TEST_F(RentalApiTest, SpeaksChineseWhereThatIsAsked) {
  auto answer = ask("root", Method::post, "/api/rental/create",
                    bob(R"("container_name":"web","expiry_date":"2024-12-30")"), "zh");
  EXPECT_EQ(answer.body, R"({"message":"租赁创建成功","rental_id":1})");
  answer = ask("root", Method::post, "/api/rental/renew", R"({"rental_id":9,"new_expiry_date":"2025-12-31"})", "zh");
  EXPECT_EQ(answer.body, R"({"error":"租赁不存在"})");
}

}  // namespace
}  // namespace berth::api::container_rental
