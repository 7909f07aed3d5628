// Traffic, alerts and notifications, as container-rental.md has them.
#include <fmt/format.h>

#include <atomic>
#include <map>

#include "api/container_rental/alert_routes.h"
#include "api/container_rental/notification_routes.h"
#include "api/container_rental/rental_envelope.h"
#include "api/container_rental/traffic_routes.h"
#include "fleet/fleet_fixture.h"
#include "identity/identity_service.h"
#include "json/document.h"
#include "scripted_server.h"

namespace berth::api::container_rental {
namespace {

using namespace std::chrono_literals;
using http::Method;
using testing::ScriptedServer;

/// Traffic and values as the test sets them.
class Figures final : public telemetry::TrafficSource, public telemetry::MetricSource {
 public:
  std::vector<telemetry::TrafficSample> sample() const override { return samples; }
  bool exists(std::int64_t) const override { return true; }
  std::optional<std::vector<telemetry::Measurement>> measure(telemetry::AlertType type) const override {
    const auto found = values.find(type);
    return found == values.end() ? std::vector<telemetry::Measurement>() : found->second;
  }

  std::vector<telemetry::TrafficSample> samples;
  std::map<telemetry::AlertType, std::vector<telemetry::Measurement>> values;
};

class MonitoringApiTest : public fleet::FleetFixture {
 protected:
  void SetUp() override {
    begin({"one"});
    identity::IdentityService::Settings cheap;
    cheap.password_memory_bytes = 8192;
    cheap.password_passes = 1;
    identity_ = take(identity::IdentityService::create(cheap, *database_, *audit_, sealing_, system_clock()));
    key("alice", UserId(2));
    key("bob", UserId(3));
    for (const auto& [name, role] : {std::pair{"root", identity::Role::admin},
                                     {"mia", identity::Role::manager},
                                     {"vera", identity::Role::viewer}}) {
      const auto user = take(
          identity_->create_user({name, fmt::format("{}@example.com", name), Secret("a long enough one"), role}, {}));
      key(name, user.id);
    }
    series_ =
        std::make_unique<telemetry::SeriesStore>(telemetry::SeriesStore::Settings(), *database_, metrics_, clock_);
    traffic_ = take(telemetry::TrafficMeter::create({}, {*database_, *series_, metrics_, clock_, figures_}));
    alerts_ = take(telemetry::AlertEngine::create({}, {*database_, *audit_, metrics_, clock_, figures_, nullptr}));
    notifier_ = take(notify::Notifier::create({}, {*database_, *audit_, sealing_, metrics_, system_clock()}));
    authenticator_ = std::make_unique<Authenticator>(*identity_, system_clock(), Anonymous::never);
    contract_ = std::make_unique<Contract>(Contract::Settings{"container-rental", {"租", "Rent"}, "1"},
                                           std::make_shared<RentalEnvelope>(), *authenticator_, metrics_);
    add_traffic_routes(*contract_, {*containers_, *traffic_, clock_, pool_});
    add_alert_routes(*contract_, {*alerts_, *identity_, clock_, pool_});
    add_notification_routes(*contract_, {*notifier_, pool_, pool_});
    take(contract_->seal());
    hers_ = take(make(alice(), wish("hers"))).value();
    his_ = take(make(bob(), wish("his"))).value();
  }
  ~MonitoringApiTest() override {
    notifier_.reset();
    alerts_.reset();
    traffic_.reset();
    series_.reset();
  }

  void key(const std::string& name, UserId id) {
    keys_[name] = take(identity_->create_key(id, {.name = "test"}, {})).secret.reveal();
  }
  http::Response ask(const std::string& who, Method method, const std::string& target, const std::string& body = "",
                     std::optional<Language> language = {}) {
    http::Request request;
    request.method = method;
    request.target = target;
    request.path = target.substr(0, target.find('?'));
    if (request.path.size() < target.size()) request.query = target.substr(request.path.size() + 1);
    request.body = body;
    request.peer = {"192.0.2.1", false, true};
    request.language = language;
    if (!who.empty()) request.headers.add("Authorization", "Bearer " + keys_.at(who));
    auto decision = contract_->dispatch(request);
    if (auto* answer = std::get_if<http::Response>(&decision)) return std::move(*answer);
    return std::get<http::Deferred>(decision).work();
  }
  http::Response get(const std::string& target, const std::string& who = "root") {
    return ask(who, Method::get, target);
  }
  http::Response post(const std::string& target, const std::string& body, const std::string& who = "root") {
    return ask(who, Method::post, target, body);
  }
  static json::Document parsed(const http::Response& answer) { return take(json::Document::parse(answer.body)); }

  void pass(std::chrono::seconds time) { clock_.advance(time); }
  /// Each of the two got `in` and sent `out` since the last time.
  void transfer(std::uint64_t in, std::uint64_t out) {
    if (figures_.samples.empty()) {
      for (const auto id : {hers_, his_}) figures_.samples.push_back({id, 0, 0, clock_.instant(), 0});
      traffic_->measure();
    }
    pass(10s);
    for (auto& sample : figures_.samples) {
      sample.in_bytes += in;
      sample.out_bytes += out;
      sample.measured = clock_.instant();
    }
    traffic_->measure();
  }
  std::int64_t alert(const std::string& type = "cpu", double threshold = 80) {
    const auto answer =
        post("/api/alerts/add", fmt::format(R"({{"alert_type":"{}","threshold":{},"message":"m"}})", type, threshold));
    return parsed(answer).root()["alert_id"].integer().value_or(0);
  }
  void cpu(const std::string& subject, double value) {
    figures_.values[telemetry::AlertType::cpu] = {{telemetry::SubjectKind::container, subject, value}};
    alerts_->tick();
  }

  ManualClock clock_{Timestamp(std::chrono::seconds(1'800'000'000))};
  Figures figures_;
  std::unique_ptr<identity::IdentityService> identity_;
  std::map<std::string, std::string> keys_;
  std::unique_ptr<telemetry::SeriesStore> series_;
  std::unique_ptr<telemetry::TrafficMeter> traffic_;
  std::unique_ptr<telemetry::AlertEngine> alerts_;
  std::unique_ptr<notify::Notifier> notifier_;
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<Contract> contract_;
  WorkerPool pool_{{.name = "reads", .threads = 1}};
  std::int64_t hers_ = 0;
  std::int64_t his_ = 0;
};

TEST_F(MonitoringApiTest, TrafficOfAContainerIsAsTheDocumentSays) {
  transfer(10240, 20480);
  const auto answer = get(fmt::format("/api/ha/container_traffic/{}", hers_));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, fmt::format(R"({{"container_id":{},"traffic":{{"in":1024,"out":2048}},)"
                                     R"("total":{{"in":10240,"out":20480}},"measured_at":"2027-01-15T08:00:10Z"}})",
                                     hers_));
}

TEST_F(MonitoringApiTest, RealtimeTrafficIsOfAllThatOneMaySee) {
  EXPECT_EQ(get("/api/traffic/realtime").body,
            R"({"traffic":{"in":0,"out":0},"total":{"in":0,"out":0},"measured_at":null})");
  transfer(10240, 20480);
  for (const auto* who : {"root", "mia", "vera"}) {
    const auto all = parsed(get("/api/traffic/realtime", who));
    EXPECT_EQ(all.root()["traffic"]["in"].integer(), 2048) << who;
    EXPECT_EQ(all.root()["traffic"]["out"].integer(), 4096);
    EXPECT_EQ(all.root()["total"]["in"].integer(), 20480);
  }
  const auto own = parsed(get("/api/traffic/realtime", "alice"));
  EXPECT_EQ(own.root()["traffic"]["in"].integer(), 1024);
  EXPECT_EQ(own.root()["total"]["out"].integer(), 20480);
}

TEST_F(MonitoringApiTest, SomebodyElsesTrafficIsThatOfNoContainer) {
  for (const auto* path : {"/api/ha/container_traffic/{}", "/api/traffic/history?container_id={}"}) {
    const auto hidden = get(fmt::format(fmt::runtime(path), his_), "alice");
    EXPECT_EQ(hidden.status, 404);
    EXPECT_EQ(hidden.body, fmt::format(R"({{"error":"Container {} not found"}})", his_));
    const auto missing = get(fmt::format(fmt::runtime(path), 4711), "alice");
    EXPECT_EQ(missing.status, 404);
    EXPECT_EQ(missing.body, R"({"error":"Container 4711 not found"})");
    EXPECT_EQ(get(fmt::format(fmt::runtime(path), hers_), "alice").status, 200);
    EXPECT_EQ(get(fmt::format(fmt::runtime(path), "one"), "alice").status, 400);
  }
  EXPECT_EQ(ask("", Method::get, "/api/traffic/realtime").status, 401);
}

TEST_F(MonitoringApiTest, TrafficHasAHistory) {
  for (int i = 0; i < 6; ++i) transfer(1000, 2000);
  const auto hour = parsed(get(fmt::format("/api/traffic/history?container_id={}&step=60", hers_)));
  EXPECT_EQ(hour.root()["container_id"].integer(), hers_);
  EXPECT_EQ(hour.root()["step"].integer(), 60);
  EXPECT_GE(hour.root()["traffic"].size(), 60U);
  const auto sum = [](const json::Document& history) {
    std::int64_t in = 0;
    for (const auto point : history.root()["traffic"].elements()) in += point["in"].integer().value_or(0);
    return in;
  };
  EXPECT_EQ(sum(hour), 6000);
  EXPECT_EQ(sum(parsed(get("/api/traffic/history"))), 12000);
  EXPECT_EQ(sum(parsed(get("/api/traffic/history", "alice"))), 6000);
  const auto part =
      parsed(get("/api/traffic/history?from=2027-01-15T08:00:00Z&until=2027-01-15T08:00:20%2B00:00&step=10", "alice"));
  EXPECT_EQ(part.root()["traffic"].size(), 2U);
  EXPECT_EQ(part.root()["traffic"].at(0)["timestamp"].string(), "2027-01-15T08:00:00Z");
  EXPECT_EQ(part.root()["traffic"].at(0)["in"].integer(), 1000);
  EXPECT_EQ(part.root()["traffic"].at(0)["in_peak"].integer(), 100);
  const auto coarser = parsed(get("/api/traffic/history?from=2027-01-14T08:00:00Z&step=10"));
  EXPECT_EQ(coarser.root()["step"].integer(), 60) << "ten seconds are not kept that long";
  for (const auto* bad : {"from=yesterday", "step=-1", "from=2027-01-15T08:00:00Z&until=2027-01-15T07:00:00Z",
                          "from=2025-01-15T08:00:00Z"}) {
    EXPECT_EQ(get(std::string("/api/traffic/history?") + bad).status, 400) << bad;
  }
}

TEST_F(MonitoringApiTest, AnAlertIsAddedAsTheDocumentSays) {
  const auto answer =
      post("/api/alerts/add", R"({"alert_type":"traffic","threshold":10000,"message":"Traffic limit exceeded"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, R"({"message":"Alert added successfully","alert_id":1})");
  const auto kept = alerts_->list().at(0);
  EXPECT_EQ(kept.threshold, 10000);
  EXPECT_EQ(kept.recipients, std::vector<std::string>{"root@example.com"}) << "whoever makes it is told";
  const auto chinese = ask("root", Method::post, "/api/alerts/add",
                           R"({"alert_type":"cpu","threshold":80,"message":"CPU 过高"})", Language::zh);
  EXPECT_EQ(chinese.body, R"({"message":"告警添加成功","alert_id":2})");
}

TEST_F(MonitoringApiTest, ABadAlertNamesItsFields) {
  const std::map<std::string, std::string> bodies = {
      {R"({})", "alert_type threshold message"},
      {R"({"alert_type":"noise","threshold":1,"message":"m"})", "alert_type"},
      {R"({"alert_type":"cpu","threshold":"high","message":"m"})", "threshold"},
      {R"({"alert_type":"cpu","threshold":101,"message":"m"})", "threshold"},
      {R"({"alert_type":"traffic","threshold":-1,"message":"m"})", "threshold"},
      {R"({"alert_type":"cpu","threshold":80,"message":""})", "message"},
      {R"({"alert_type":"cpu","threshold":80,"message":"m","duration":-1,"severity":"loud"})", "duration severity"},
      {R"({"alert_type":"cpu","threshold":80,"message":"m","recipients":["a@example.com","nobody"]})", "recipients.1"}};
  for (const auto& [body, fields] : bodies) {
    const auto answer = post("/api/alerts/add", body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_TRUE(answer.body.starts_with(R"({"error":"Invalid data: )")) << answer.body;
    std::string named;
    const auto problem = parsed(answer);
    for (const auto error : problem.root()["errors"].elements()) {
      named += (named.empty() ? "" : " ") + error["field"].string_or("");
    }
    EXPECT_EQ(named, fields) << body;
  }
  EXPECT_EQ(post("/api/alerts/add", "{").status, 400);
  EXPECT_TRUE(alerts_->list().empty());
}

TEST_F(MonitoringApiTest, AnAlertIsListedChangedSilencedAndDeleted) {
  const auto id = alert();
  cpu("hers", 95);
  auto listed = parsed(get("/api/alerts/list"));
  EXPECT_EQ(listed.root()["alerts"].at(0)["alert_type"].string(), "cpu");
  EXPECT_EQ(listed.root()["alerts"].at(0)["state"].string(), "raised");
  EXPECT_EQ(listed.root()["alerts"].at(0)["raised"].at(0).string(), "hers");
  const auto path = fmt::format("/api/alerts/{}", id);
  EXPECT_EQ(ask("root", Method::put, path, R"({"threshold":99,"subject":"hers","severity":"critical"})").body,
            R"({"message":"Alert updated successfully"})");
  EXPECT_EQ(post(path + "/silence", R"({"minutes":60})").body, R"({"message":"Alert silenced successfully"})");
  auto one = parsed(get(path));
  EXPECT_EQ(one.root()["threshold"].number(), 99);
  EXPECT_EQ(one.root()["subject"].string(), "hers");
  EXPECT_EQ(one.root()["severity"].string(), "critical");
  EXPECT_EQ(one.root()["silenced_until"].string(), "2027-01-15T09:00:00Z");
  EXPECT_EQ(ask("root", Method::put, path, R"({"subject":null})").status, 200);
  EXPECT_EQ(ask("root", Method::delete_, path + "/silence").status, 200);
  one = parsed(get(path));
  EXPECT_TRUE(one.root()["subject"].is_null());
  EXPECT_TRUE(one.root()["silenced_until"].is_null());
  EXPECT_EQ(ask("root", Method::delete_, path).body, R"({"message":"Alert deleted successfully"})");
  EXPECT_EQ(ask("root", Method::delete_, path).status, 404);
  EXPECT_EQ(ask("root", Method::put, path, "{}").body, R"({"error":"Alert not found"})");
  EXPECT_EQ(get(path).status, 404);
}

TEST_F(MonitoringApiTest, ASilenceNeedsAnEnd) {
  const auto path = fmt::format("/api/alerts/{}/silence", alert());
  for (const auto* body : {"{}", R"({"minutes":0})", R"({"until":"soon"})", R"({"until":"2026-01-01T00:00:00Z"})",
                           R"({"until":"2027-01-16T00:00:00Z","minutes":5})", R"({"until":"2037-01-16T00:00:00Z"})"}) {
    EXPECT_EQ(post(path, body).status, 400) << body;
  }
  EXPECT_EQ(post(path, R"({"until":"2027-01-16T00:00:00Z"})").status, 200);
  EXPECT_EQ(post("/api/alerts/4711/silence", R"({"minutes":5})").status, 404);
}

TEST_F(MonitoringApiTest, WhatWasRaisedStaysInTheHistory) {
  const auto id = alert();
  cpu("hers", 95);
  pass(60s);
  cpu("hers", 10);
  cpu("his", 90);
  const auto all = parsed(get("/api/alerts/history"));
  EXPECT_EQ(all.root()["total"].integer(), 2);
  const auto query = fmt::format("/api/alerts/history?alert_id={}&state=resolved&subject=hers&alert_type=cpu", id);
  const auto ended = parsed(get(query, "vera"));
  ASSERT_EQ(ended.root()["history"].size(), 1U);
  const auto episode = ended.root()["history"].at(0);
  EXPECT_EQ(episode["value"].number(), 95);
  EXPECT_EQ(episode["raised_at"].string(), "2027-01-15T08:00:00Z");
  EXPECT_EQ(episode["resolved_at"].string(), "2027-01-15T08:01:00Z");
  EXPECT_EQ(episode["resolution"].string(), "recovered");
  EXPECT_EQ(parsed(get("/api/alerts/history?from=2027-01-15T08:00:30Z")).root()["total"].integer(), 1);
  for (const auto* bad : {"state=open", "limit=0", "from=x", "alert_id=x"}) {
    EXPECT_EQ(get(std::string("/api/alerts/history?") + bad).status, 400) << bad;
  }
}

TEST_F(MonitoringApiTest, EachRoleMayWhatItMay) {
  const auto path = fmt::format("/api/alerts/{}", alert());
  struct Case {
    Method method;
    std::string target;
    std::string body;
    std::string allowed;  // of m(anager), v(iewer), u(ser)
  };
  const std::vector<Case> cases = {
      {Method::get, "/api/traffic/realtime", "", "mvu"},
      {Method::get, "/api/traffic/history", "", "mvu"},
      {Method::get, "/api/alerts/list", "", "mv"},
      {Method::get, path, "", "mv"},
      {Method::get, "/api/alerts/history", "", "mv"},
      {Method::post, "/api/alerts/add", R"({"alert_type":"cpu","threshold":80,"message":"m"})", "m"},
      {Method::put, path, "{}", "m"},
      {Method::post, path + "/silence", R"({"minutes":5})", "m"},
      {Method::delete_, path + "/silence", "", "m"},
      {Method::get, "/api/notifications/webhooks", "", "m"},
      {Method::post, "/api/notifications/webhooks", R"({"name":"x","url":"http://192.0.2.1/"})", "m"},
      {Method::get, "/api/notifications/deliveries", "", "m"},
      {Method::post, "/api/notifications/deliveries/1/resend", "", ""},
      {Method::delete_, "/api/notifications/webhooks/4711", "", ""},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(ask("", one.method, one.target, one.body).status, 401) << one.target;
    for (const auto& [letter, who] : {std::pair{'v', "vera"}, {'u', "alice"}, {'m', "mia"}}) {
      const int status = ask(who, one.method, one.target, one.body).status;
      const bool allowed = one.allowed.find(letter) != std::string::npos;
      const bool manages = letter == 'm' && one.allowed.empty();  // may, but there is no such thing
      EXPECT_EQ(status, allowed ? 200 : manages ? 404 : 403) << who << " " << one.target;
    }
  }
  EXPECT_EQ(ask("vera", Method::post, "/api/notifications/test", "{}").status, 403);
}

TEST_F(MonitoringApiTest, AWebhookIsMadeTriedAndRemoved) {
  std::atomic<int> status{200};
  const ScriptedServer server([&](ScriptedServer::Peer& peer) {
    (void)peer.read_request();
    peer.answer(status, "{}");
  });
  notifier_->start();
  const auto none = post("/api/notifications/test", "{}");
  EXPECT_EQ(none.status, 409);
  const auto made =
      post("/api/notifications/webhooks",
           fmt::format(R"({{"name":"pager","url":"http://127.0.0.1:{}/x","events":["alert.raised"]}})", server.port()));
  EXPECT_EQ(made.status, 200) << made.body;
  EXPECT_EQ(parsed(made).root()["secret"].string().value_or("").size(), 64U);
  const auto listed = get("/api/notifications/webhooks");
  EXPECT_EQ(listed.body.find("secret"), std::string::npos);
  const auto id = parsed(listed).root()["webhooks"].at(0)["webhook_id"].integer().value_or(0);
  EXPECT_EQ(parsed(listed).root()["webhooks"].at(0)["events"].at(0).string(), "alert.raised");

  auto tested = parsed(post("/api/notifications/test", fmt::format(R"({{"webhook_id":{}}})", id)));
  EXPECT_EQ(tested.root()["message"].string(), "Test notification sent");
  EXPECT_EQ(tested.root()["deliveries"].at(0)["state"].string(), "sent");
  status = 503;
  tested = parsed(post("/api/notifications/test", "{}"));
  EXPECT_EQ(tested.root()["message"].string(), "Test notification could not be delivered");
  const auto failed = tested.root()["deliveries"].at(0);
  EXPECT_EQ(failed["state"].string(), "failed");
  EXPECT_EQ(failed["last_error"].string(), "The receiver answered 503");
  EXPECT_EQ(parsed(get("/api/notifications/deliveries?state=failed&event=test")).root()["total"].integer(), 1);
  EXPECT_EQ(get("/api/notifications/deliveries?state=lost").status, 400);
  const auto resend =
      fmt::format("/api/notifications/deliveries/{}/resend", failed["delivery_id"].integer().value_or(0));
  status = 200;
  EXPECT_EQ(post(resend, "").status, 200);
  EXPECT_TRUE(testing::eventually(
      [&] { return parsed(get("/api/notifications/deliveries?state=sent")).root()["total"].integer() == 2; }));
  EXPECT_EQ(post(resend, "").status, 409);

  const auto path = fmt::format("/api/notifications/webhooks/{}", id);
  EXPECT_EQ(ask("root", Method::delete_, path).body, R"({"message":"Webhook deleted successfully"})");
  EXPECT_EQ(ask("root", Method::delete_, path).status, 404);
  notifier_->stop();
}

TEST_F(MonitoringApiTest, ABadWebhookIsRefused) {
  for (const auto* body :
       {"{}", R"({"name":"x","url":"ftp://192.0.2.1/x"})", R"({"name":"","url":"http://192.0.2.1/"})",
        R"({"name":"x","url":"http://192.0.2.1/","secret":"short"})",
        R"({"name":"x","url":"http://192.0.2.1/","events":["noise"]})"}) {
    const auto answer = post("/api/notifications/webhooks", body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_TRUE(answer.body.starts_with(R"({"error":)")) << answer.body;
  }
  const auto* good = R"({"name":"x","url":"http://192.0.2.1/"})";
  EXPECT_EQ(post("/api/notifications/webhooks", good).status, 200);
  EXPECT_EQ(post("/api/notifications/webhooks", good).status, 409);
  EXPECT_EQ(post("/api/notifications/test", R"({"email":"ops@example.com"})").status, 409) << "no mail server";
  EXPECT_EQ(post("/api/notifications/test", R"({"email":"nobody"})").status, 400);
  EXPECT_EQ(post("/api/notifications/test", R"({"webhook_id":4711})").status, 404);
}

}  // namespace
}  // namespace berth::api::container_rental
