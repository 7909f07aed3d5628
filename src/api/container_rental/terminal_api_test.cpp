// Logs and consoles over WebSockets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "api/container_rental/rental_envelope.h"
#include "api/container_rental/terminal_routes.h"
#include "api/shared/hold_back.h"
#include "fleet/fleet_fixture.h"
#include "identity/identity_service.h"

namespace berth::api::container_rental {
namespace {

using berth::testing::eventually;
using fleet::Right;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// The browser's side of a socket: keeps what it is sent, and reads only while it is told to.
class Browser final : public http::WebSocket {
 public:
  void send(http::Payload message, http::Frame frame) override {
    const std::lock_guard lock(mutex_);
    if (code_ != 0) return;
    (frame == http::Frame::binary ? bytes_ : text_) += *message;
    if (!reading_) waiting_ += message->size();
    most_waiting_ = std::max(most_waiting_, waiting_);
  }
  void offer(http::Payload) override {}
  void close(std::uint16_t code, std::string_view reason) override {
    const std::lock_guard lock(mutex_);
    if (code_ != 0) return;
    code_ = code;
    reason_ = reason;
  }
  std::size_t waiting_bytes() const override {
    const std::lock_guard lock(mutex_);
    return waiting_;
  }

  void read(bool on) {
    const std::lock_guard lock(mutex_);
    reading_ = on;
    if (on) waiting_ = 0;
  }
  std::size_t most_waiting() const {
    const std::lock_guard lock(mutex_);
    return most_waiting_;
  }
  std::string bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
  }
  std::string text() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }
  bool shows(const std::string& part) {
    return eventually([&] { return bytes().find(part) != std::string::npos; });
  }
  /// The code it was closed with; 0 while it is open.
  std::uint16_t code() const {
    const std::lock_guard lock(mutex_);
    return code_;
  }
  std::string reason() const {
    const std::lock_guard lock(mutex_);
    return reason_;
  }
  bool closes(std::uint16_t code) {
    return eventually([&] { return this->code() == code; });
  }

 private:
  mutable std::mutex mutex_;
  bool reading_ = true;
  std::size_t waiting_ = 0;
  std::size_t most_waiting_ = 0;
  std::string bytes_;
  std::string text_;
  std::uint16_t code_ = 0;
  std::string reason_;
};

class TerminalApiTest : public fleet::FleetFixture {
 protected:
  struct Open {
    std::shared_ptr<Browser> browser = std::make_shared<Browser>();
    std::shared_ptr<http::WebSocketHandler> handler = {};

    void type(std::string_view text) const { handler->on_message(text, http::Frame::binary); }
    /// The browser goes.
    void leave() {
      handler->on_close();
      handler.reset();
    }
  };

  void SetUp() override {
    begin({"one", "two"});
    identity::IdentityService::Settings cheap;
    cheap.password_memory_bytes = 8192;
    cheap.password_passes = 1;
    identity_ = take(identity::IdentityService::create(cheap, *store_, *audit_, sealing_, system_clock()));
    for (const auto& [name, role] : {std::pair{"root", identity::Role::admin}, {"uma", identity::Role::user}}) {
      ids_[name] = take(identity_->create_user({name, "", Secret(kPassword), role}, {})).id;
      tokens_[name] = take(identity_->login(name, Secret(kPassword), "", {}));
    }
    authenticator_ = std::make_unique<Authenticator>(*identity_, system_clock(), Anonymous::never);
    sockets_ = std::make_unique<SocketWatch>(*authenticator_, std::chrono::milliseconds(20));
    contract_ = std::make_unique<Contract>(Contract::Settings{"container-rental", {"租", "Rent"}, "1"},
                                           std::make_shared<RentalEnvelope>(), *authenticator_, metrics_);
    add_terminal_routes(*contract_, {*containers_, *sockets_, pool_});
    take(contract_->seal());
    auto wanted = wish("web");
    wanted.server = "one";
    id_ = take(make(admin(), wanted));
  }
  ~TerminalApiTest() override {
    for (auto& open : open_) {
      if (open.handler) open.leave();
    }
    open_.clear();
    sockets_->stop();
    pool_.drain();
    contract_.reset();
  }

  http::Dispatch dispatch(const std::string& target, const std::string& who) {
    http::Request request;
    request.method = http::Method::get;
    request.target = "/container-rental" + target;
    request.path = target.substr(0, target.find('?'));
    if (request.path.size() < target.size()) request.query = target.substr(request.path.size() + 1);
    request.peer = {"192.0.2.1", false, true};
    request.headers.add("Host", "rental.example:5000");
    request.headers.add("Connection", "Upgrade");
    request.headers.add("Upgrade", "websocket");
    request.headers.add("Sec-WebSocket-Version", "13");
    request.headers.add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    request.headers.add("Authorization", "Bearer " + tokens_.at(who).access_token);
    return contract_->dispatch(request);
  }
  Open& open(const std::string& target, const std::string& who = "root") {
    auto decision = dispatch(target, who);
    auto& made = open_.emplace_back();
    made.handler = std::get<http::Upgrade>(decision).handler;
    made.handler->on_open(made.browser);
    return made;
  }
  int status(const std::string& target, const std::string& who) {
    auto decision = dispatch(target, who);
    const auto* answer = std::get_if<http::Response>(&decision);
    return answer == nullptr ? 101 : answer->status;
  }
  void grant(Right right) { access_.granted.insert({ids_.at("uma"), id_, right}); }
  void write(const std::string& text) { ASSERT_TRUE(engine("one").write_log("web", text)); }

  static constexpr const char* kPassword = "a long enough one";
  static constexpr const char* kLogs = "/ws/containers/web/logs";
  static constexpr const char* kConsole = "/ws/containers/web/console";
  std::unique_ptr<identity::IdentityService> identity_;
  std::map<std::string, UserId> ids_;
  std::map<std::string, identity::Tokens> tokens_;
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<SocketWatch> sockets_;
  std::unique_ptr<Contract> contract_;
  WorkerPool pool_{{.name = "changes", .threads = 4}};
  std::deque<Open> open_;
  fleet::ContainerId id_;
};

TEST_F(TerminalApiTest, ALogIsShownAsItIsWritten) {
  write("before\n");
  auto& all = open(kLogs);
  EXPECT_TRUE(all.browser->shows("before\n"));
  auto& fresh = open(std::string(kLogs) + "?tail=0&timestamps=true");
  auto& late = open(std::string(kLogs) + "?since=2999-01-01T00:00:00Z");
  ASSERT_TRUE(eventually([&] { return engine("one").faults().calls("follow_log") == 3; }));
  write("after\n");
  EXPECT_TRUE(all.browser->shows("before\nafter\n"));
  EXPECT_TRUE(fresh.browser->shows("Z after\n"));
  EXPECT_EQ(fresh.browser->bytes().substr(0, 4), format_utc(system_clock().now()).substr(0, 4));
  EXPECT_TRUE(late.browser->shows("after\n"));
  EXPECT_EQ(late.browser->bytes(), "after\n");
  EXPECT_EQ(all.browser->code(), 0);
}

TEST_F(TerminalApiTest, WhoMayNotReadHasNoLogAndWhoMayNotExecuteNoConsole) {
  EXPECT_EQ(status(kLogs, "uma"), 404);
  EXPECT_EQ(status(kConsole, "uma"), 404);
  grant(Right::read);
  EXPECT_EQ(status(kLogs, "uma"), 101);
  EXPECT_EQ(status(kConsole, "uma"), 403);
  grant(Right::execute);
  EXPECT_EQ(status(kConsole, "uma"), 101);
  EXPECT_EQ(status("/ws/containers/none/logs", "root"), 404);
  EXPECT_EQ(status(std::string(kLogs) + "?since=yesterday", "root"), 400);
  EXPECT_EQ(status(std::string(kLogs) + "?tail=-1", "root"), 400);
  EXPECT_EQ(status(std::string(kConsole) + "?cols=0", "root"), 400);
}

TEST_F(TerminalApiTest, ARightThatIsWithdrawnClosesWhatIsOpen) {
  grant(Right::read);
  grant(Right::execute);
  auto& log = open(kLogs, "uma");
  auto& console = open(kConsole, "uma");
  console.type("hello\n");
  EXPECT_TRUE(log.browser->shows("hello\n"));
  fleet::ContainerChange change;
  change.name = "api";
  ASSERT_TRUE(containers_->update(admin(), "web", change)) << "another name changes no right";
  EXPECT_EQ(log.browser->code(), 0);
  access_.granted.erase({ids_.at("uma"), id_, Right::execute});
  EXPECT_TRUE(console.browser->closes(close_code::kForbidden));
  EXPECT_EQ(log.browser->code(), 0);
  access_.granted.clear();
  EXPECT_TRUE(log.browser->closes(close_code::kForbidden));
  // Whatever comes from a browser that stays is for nobody.
  const std::string before = take(engine("one").read_log("api", {}, soon()));
  console.type("again\n");
  ASSERT_TRUE(engine("one").write_log("api", "secret\n"));
  EXPECT_EQ(take(engine("one").read_log("api", {}, soon())), before + "secret\n");
  EXPECT_THAT(log.browser->bytes(), ::testing::Not(HasSubstr("secret")));
}

TEST_F(TerminalApiTest, ALogoutClosesWhatIsOpenAndATokenThatMerelyRunsOutDoesNot) {
  auto& log = open(kLogs);
  grant(Right::read);
  auto& other = open(kLogs, "uma");
  ASSERT_TRUE(eventually([&] { return engine("one").faults().calls("follow_log") == 2; }));
  take(identity_->logout(*tokens_.at("root").principal, {}));
  EXPECT_TRUE(log.browser->closes(close_code::kUnauthenticated));
  // An access token is short; whoever holds the session gets new ones.
  auto expired = *tokens_.at("uma").principal;
  expired.expires_at = Timestamp{};
  EXPECT_TRUE(authenticator_->settle_again(tokens_.at("uma").access_token, expired));
  EXPECT_EQ(other.browser->code(), 0);
  take(identity_->update_user(ids_.at("uma"), {.enabled = false}, {}));
  EXPECT_TRUE(other.browser->closes(close_code::kUnauthenticated));
}

TEST_F(TerminalApiTest, ALogSaysWhyItEnds) {
  auto& stopped = open(kLogs);
  write("last words\n");
  ASSERT_TRUE(stopped.browser->shows("last words\n"));
  ASSERT_TRUE(containers_->stop(admin(), "web", true));
  EXPECT_TRUE(stopped.browser->closes(close_code::kNormal));
  EXPECT_EQ(stopped.browser->reason(), "the container stopped");
  EXPECT_EQ(stopped.browser->text(), R"({"type":"end","reason":"stopped"})");

  ASSERT_TRUE(containers_->start(admin(), "web"));
  auto& removed = open(kLogs);
  ASSERT_TRUE(removed.browser->shows("last words\n"));
  ASSERT_TRUE(containers_->remove(admin(), "web", true));
  EXPECT_TRUE(removed.browser->closes(close_code::kNormal));
  EXPECT_EQ(removed.browser->text(), R"({"type":"end","reason":"removed"})");
}

TEST_F(TerminalApiTest, ALogEndsWhereItsContainerIsMovedOrArchived) {
  write("here\n");
  auto& moved = open(kLogs);
  ASSERT_TRUE(moved.browser->shows("here\n"));
  const auto ticket = take(containers_->relocate(admin(), "web", "two"));
  ASSERT_EQ(take(ticket->wait(soon())).state, operations::State::succeeded);
  EXPECT_TRUE(moved.browser->closes(close_code::kNormal));
  EXPECT_EQ(moved.browser->text(), R"({"type":"end","reason":"moved"})");

  ASSERT_TRUE(engine("two").write_log("web", "there\n"));
  auto& archived = open(kLogs);
  ASSERT_TRUE(archived.browser->shows("there\n"));
  ASSERT_TRUE(containers_->archive(admin(), "web"));
  EXPECT_TRUE(archived.browser->closes(close_code::kNormal));
  EXPECT_EQ(archived.browser->text(), R"({"type":"end","reason":"archived"})");

  auto& none = open(kLogs);
  EXPECT_TRUE(none.browser->closes(close_code::kInternal));
  EXPECT_THAT(none.browser->text(), AllOf(HasSubstr(R"("type":"error")"), HasSubstr("archived")));
}

TEST_F(TerminalApiTest, ALogEndsWithItsServer) {
  write("here\n");
  auto& cut = open(kLogs);
  ASSERT_TRUE(cut.browser->shows("here\n"));
  engine("one").cut_logs_off();
  EXPECT_TRUE(cut.browser->closes(close_code::kTryAgainLater));
  EXPECT_EQ(cut.browser->text(), R"({"type":"end","reason":"server_gone"})");
  // One that only falls silent leaves its connections open.
  auto& silent = open(kLogs);
  ASSERT_TRUE(silent.browser->shows("here\n"));
  engine("one").faults().refuse_connections(true);
  EXPECT_TRUE(silent.browser->closes(close_code::kTryAgainLater));
  engine("one").faults().refuse_connections(false);
}

TEST_F(TerminalApiTest, AReaderWhoDoesNotKeepUpMissesNothingAndCostsLittle) {
  auto& slow = open(kLogs);
  auto& quick = open(kLogs);
  ASSERT_TRUE(eventually([&] { return engine("one").faults().calls("follow_log") == 2; }));
  write("begin\n");
  ASSERT_TRUE(slow.browser->shows("begin\n"));
  slow.browser->read(false);
  std::string wanted = "begin\n";
  for (int i = 0; i < 14; ++i) {
    const std::string piece(64UL * 1024, static_cast<char>('a' + i));
    wanted += piece;
    write(piece);
    ASSERT_TRUE(quick.browser->shows(piece));
  }
  EXPECT_LE(slow.browser->most_waiting(), HoldBack::kLimit + 2 * 64UL * 1024);
  slow.browser->read(true);
  slow.handler->on_drained();
  EXPECT_TRUE(eventually([&] { return slow.browser->bytes() == wanted; }));
}

TEST_F(TerminalApiTest, AConsoleIsTheMainProcessAndLeavingItEndsNothing) {
  auto& first = open(kConsole);
  first.type("typed\n");
  EXPECT_TRUE(first.browser->shows("typed\n"));
  first.leave();
  auto& second = open(kConsole);
  second.type("more\n");
  EXPECT_TRUE(second.browser->shows("more\n"));
  EXPECT_TRUE(becomes("web", compute::Status::running));
  EXPECT_EQ(take(engine("one").read_log("web", {}, soon())), "typed\nmore\n") << "what it puts out is its log";
  EXPECT_THAT(audited_actions(), ::testing::Contains("instance.console"));
  ASSERT_TRUE(containers_->stop(admin(), "web", true));
  EXPECT_TRUE(second.browser->closes(close_code::kNormal));
  auto& none = open(kConsole);
  EXPECT_TRUE(none.browser->closes(close_code::kInternal)) << "a stopped one has none";
}

}  // namespace
}  // namespace berth::api::container_rental
