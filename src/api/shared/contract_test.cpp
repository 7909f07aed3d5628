#include "api/shared/contract.h"

#include <gtest/gtest.h>

#include <boost/describe/class.hpp>

#include "identity/identity_fixture.h"

namespace berth::api {
namespace {

using http::Method;
using identity::must;
using identity::permissions::kInstancesDelete;
using identity::permissions::kInstancesRead;
using identity::permissions::kPublic;
using identity::permissions::kSignedIn;

class PlainEnvelope final : public Envelope {
 public:
  Language default_language() const override { return Language::zh; }
  http::Response error(const Error& error, Language language) const override {
    http::Response response = http::Response::json(status_of(error.code(), 422), error.message().in(language));
    for (const auto& field : error.fields()) response.body += " " + field.field;
    add_error_headers(error, response);
    return response;
  }
};

struct ThingPath {
  std::string name;
};
BOOST_DESCRIBE_STRUCT(ThingPath, (), (name))

struct ThingQuery {
  std::optional<int> limit;
};
BOOST_DESCRIBE_STRUCT(ThingQuery, (), (limit))

struct Thing {
  std::string title;
  int size = 0;
};
BOOST_DESCRIBE_STRUCT(Thing, (), (title, size))
void describe_fields(json::Fields<Thing>& fields) {
  fields("title").length(1, 5);
  fields("size").range(1, 9);
}

class ContractTest : public ::testing::Test {
 protected:
  ContractTest() {
    contract_.add<ThingPath, ThingQuery, Nothing>(
        {Method::get, "/things/{name}", kInstancesRead, {"取", "Get"}, "things"},
        [](const Call&, ThingPath path, ThingQuery query, Nothing) -> Result<Thing> {
          if (path.name == "none") return Error(ErrorCode::not_found, "thing.none", {"没有", "none"});
          return Thing{path.name, query.limit.value_or(0)};
        });
    contract_.add<Nothing, Nothing, Thing>({Method::post, "/things", kInstancesDelete, {"建", "Make"}, "things"},
                                           [](const Call&, Nothing, Nothing, Thing body) -> Result<Reply<Thing>> {
                                             return Reply<Thing>{std::move(body), 201, {{"Location", "/things/1"}}};
                                           });
    contract_.add<Nothing, Nothing, Nothing>(
        {Method::post, "/things/import", kInstancesRead, {"导入", "Import"}, "things", nullptr, kLargest},
        [](const Call& call, Nothing, Nothing, Nothing) -> Result<std::size_t> { return call.request->body.size(); });
    contract_.add<Nothing, Nothing, Nothing>({Method::get, "/open", kPublic, {"公开", "Open"}, "things"},
                                             [](const Call& call, Nothing, Nothing, Nothing) -> Result<std::string> {
                                               return call.principal ? call.principal->actor : std::string("nobody");
                                             });
    contract_.add<Nothing, Nothing, Nothing>(
        {Method::get, "/mine", kSignedIn, {"我的", "Mine"}, "things"},
        [](const Call& call, Nothing, Nothing, Nothing) -> Result<std::string> { return call.principal->username; });
    contract_.add_websocket<Nothing, Nothing>(
        {Method::get, "/ws", kInstancesRead, {"流", "Stream"}, "things"},
        [](const Call&, Nothing, Nothing) -> Result<std::shared_ptr<http::WebSocketHandler>> {
          return Error(ErrorCode::conflict, "thing.busy", {"忙", "busy"});
        });
    must(contract_.seal());
    must(identity_.service().create_user({"vera", "", Secret("a long enough one"), identity::Role::viewer}, {}));
  }

  static constexpr std::size_t kLargest = 8UL << 20U;

  std::size_t limit_of(const std::string& path, std::vector<http::Header> headers = {}) {
    http::Request request;
    request.method = Method::post;
    request.path = path;
    for (auto& header : headers) request.headers.add(header.name, header.value);
    return contract_.body_limit(request);
  }

  http::Response ask(Method method, std::string path, std::string body = "", std::vector<http::Header> headers = {},
                     std::string query = "") {
    request_ = {};
    request_.method = method;
    request_.path = std::move(path);
    request_.query = std::move(query);
    request_.body = std::move(body);
    request_.peer = {"127.0.0.1", true, false};
    for (const auto& header : headers) request_.headers.add(header.name, header.value);
    auto decision = contract_.dispatch(request_);
    return std::get<http::Response>(std::move(decision));
  }
  http::Header local() const { return {"Host", "localhost"}; }
  http::Header viewer() {
    const auto tokens = must(identity_.service().login("vera", Secret("a long enough one"), "", {}));
    return {"Authorization", "Bearer " + tokens.access_token};
  }

  identity::IdentityFixture identity_;
  metrics::Registry metrics_;
  Authenticator authenticator_{identity_.service(), identity_.clock(), Anonymous::loopback};
  Contract contract_{{"test", {"测试", "Test"}, "1"}, std::make_shared<PlainEnvelope>(), authenticator_, metrics_};
  http::Request request_;
};

TEST_F(ContractTest, DecodesCallsAndEncodes) {
  const auto response = ask(Method::get, "/things/a%20b", "", {local()}, "limit=7");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"title":"a b","size":7})");
}

TEST_F(ContractTest, GivesTheReplyItsStatusAndFields) {
  const auto response = ask(Method::post, "/things", R"({"title":"a","size":1})", {local()});
  EXPECT_EQ(response.status, 201);
  EXPECT_EQ(response.headers.find("Location"), "/things/1");
}

TEST_F(ContractTest, NamesEveryBadFieldAtOnce) {
  const auto response = ask(Method::post, "/things", R"({"title":"too long","size":10})", {local()});
  EXPECT_EQ(response.status, 422);
  EXPECT_NE(response.body.find("title"), std::string::npos);
  EXPECT_NE(response.body.find("size"), std::string::npos);
}

TEST_F(ContractTest, TellsBadRequestsApart) {
  EXPECT_EQ(ask(Method::post, "/things", "{", {local()}).status, 400);
  EXPECT_EQ(ask(Method::post, "/things", "{}", {local(), {"Content-Type", "text/plain"}}).status, 415);
  EXPECT_EQ(ask(Method::get, "/things/a", "", {local()}, "limit=x").status, 422);
  EXPECT_EQ(ask(Method::get, "/things/a", "", {local()}, "limit=%").status, 400);
  EXPECT_EQ(ask(Method::get, "/things/%ff", "", {local()}).status, 400);
  EXPECT_EQ(ask(Method::get, "/nothing", "", {local()}).status, 404);
}

TEST_F(ContractTest, TakesALargeBodyOnlyOnItsPathAndFromWhoMaySendIt) {
  const http::Header token = viewer();
  EXPECT_EQ(limit_of("/mounted/things/import", {token}), kLargest);
  EXPECT_EQ(limit_of("/mounted/things/import"), 64UL * 1024);
  EXPECT_EQ(limit_of("/mounted/things/import", {{"Authorization", "Bearer nonsense"}}), 64UL * 1024);
  EXPECT_EQ(limit_of("/mounted/things", {token}), 64UL * 1024);
}

TEST_F(ContractTest, NamesTheMethodsOfAPath) {
  const auto wrong = ask(Method::delete_, "/things/a", "", {local()});
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.find("Allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(ask(Method::options, "/things/a", "", {local()}).status, 204);
}

TEST_F(ContractTest, AsksStrangersForCredentials) {
  const auto response = ask(Method::get, "/things/a", "", {{"Host", "panel.example"}});
  EXPECT_EQ(response.status, 401);
  EXPECT_EQ(response.headers.find("WWW-Authenticate"), "Bearer");
}

TEST_F(ContractTest, RefusesAWrongCredentialAlsoFromThisMachine) {
  EXPECT_EQ(ask(Method::get, "/things/a", "", {local(), {"Authorization", "Bearer nonsense"}}).status, 401);
  EXPECT_EQ(ask(Method::get, "/things/a", "", {local(), {"Authorization", "Basic YTpi"}}).status, 401);
  EXPECT_EQ(ask(Method::get, "/things/a", "", {local(), {"X-API-Key", "nonsense"}}).status, 401);
}

TEST_F(ContractTest, GivesARoleOnlyWhatItMay) {
  const http::Header token = viewer();
  EXPECT_EQ(ask(Method::get, "/things/a", "", {token}).status, 200);
  EXPECT_EQ(ask(Method::post, "/things", R"({"title":"a","size":1})", {token}).status, 403);
  EXPECT_EQ(ask(Method::get, "/mine", "", {token}).body, "\"vera\"");
}

TEST_F(ContractTest, KnowsNobodyWithoutASession) {
  EXPECT_EQ(ask(Method::get, "/mine", "", {local()}).status, 401);
}

TEST_F(ContractTest, AnswersPublicRoutesWhateverTheCredential) {
  EXPECT_EQ(ask(Method::get, "/open", "", {{"Host", "panel.example"}}).body, "\"nobody\"");
  EXPECT_EQ(ask(Method::get, "/open", "", {{"Authorization", "Bearer nonsense"}}).body, "\"nobody\"");
}

TEST_F(ContractTest, ForgetsARevokedTokenAtOnce) {
  const http::Header token = viewer();
  ASSERT_EQ(ask(Method::get, "/things/a", "", {token}).status, 200);
  const auto principal = must(authenticator_.settle_credential(token.value.substr(7)));
  must(identity_.service().logout(*principal, {}));
  EXPECT_EQ(ask(Method::get, "/things/a", "", {token}).status, 401);
}

TEST_F(ContractTest, LetsATokenRunOut) {
  const http::Header token = viewer();
  ASSERT_EQ(ask(Method::get, "/things/a", "", {token}).status, 200);
  identity_.clock().advance(std::chrono::hours(1));
  EXPECT_EQ(ask(Method::get, "/things/a", "", {token}).status, 401);
}

TEST_F(ContractTest, WantsAWebSocketWhereOneIs) {
  EXPECT_EQ(ask(Method::get, "/ws", "", {local()}).status, 426);
  EXPECT_EQ(ask(Method::get, "/ws", "", {local(), {"Sec-WebSocket-Key", "x"}}).status, 409);
}

TEST_F(ContractTest, TakesAWebSocketsTokenFromTheQuery) {
  const std::string token = viewer().value.substr(7);
  const std::vector<http::Header> upgrade = {{"Sec-WebSocket-Key", "x"}};
  EXPECT_EQ(ask(Method::get, "/ws", "", upgrade, "token=" + token).status, 409);
  EXPECT_EQ(ask(Method::get, "/ws", "", upgrade, "token=nonsense").status, 401);
  EXPECT_EQ(ask(Method::get, "/things/a", "", {}, "token=" + token).status, 401);
}

TEST_F(ContractTest, SpeaksTheLanguageAskedFor) {
  request_ = {};
  const auto words = [&](std::optional<Language> language) {
    request_ = {};
    request_.path = "/things/none";
    request_.peer.loopback = true;
    request_.headers.add("Host", "localhost");
    request_.language = language;
    return std::get<http::Response>(contract_.dispatch(request_)).body;
  };
  EXPECT_EQ(words(std::nullopt), "没有");
  EXPECT_EQ(words(Language::en), "none");
}

TEST_F(ContractTest, DescribesItselfFromItsRoutes) {
  const std::string& text = contract_.description(Language::en)->bytes();
  EXPECT_NE(text.find(R"("/things/{name}":{"get":)"), std::string::npos);
  EXPECT_NE(text.find(R"("x-permission":"instances:delete")"), std::string::npos);
  EXPECT_NE(text.find(R"("maxLength":5)"), std::string::npos);
}

TEST_F(ContractTest, DoesNotStartWithARouteThatLacksAPermission) {
  for (const identity::Permission permission :
       {identity::Permission{}, identity::Permission{"*"}, identity::Permission{"instances:*"}}) {
    Contract contract({"test", {"测试", "Test"}, "1"}, std::make_shared<PlainEnvelope>(), authenticator_, metrics_);
    contract.add<Nothing, Nothing, Nothing>(
        {Method::get, "/open", permission, {"公开", "Open"}, "things"},
        [](const Call&, Nothing, Nothing, Nothing) -> Result<std::string> { return std::string("open"); });
    EXPECT_FALSE(contract.seal()) << permission.name;
  }
}

}  // namespace
}  // namespace berth::api
