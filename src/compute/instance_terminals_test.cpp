#include <mutex>

#include "compute/service_fixture.h"

namespace berth::compute {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Output final : public TerminalOutput {
 public:
  void on_output(std::string_view bytes) override {
    const std::lock_guard lock(mutex_);
    text_ += bytes;
  }
  void on_end(std::optional<int>) override {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  std::string text() {
    const std::lock_guard lock(mutex_);
    return text_;
  }
  bool ended() {
    const std::lock_guard lock(mutex_);
    return ended_;
  }

 private:
  std::mutex mutex_;
  std::string text_;
  bool ended_ = false;
};

class InstanceTerminalsTest : public ServiceFixture {
 protected:
  InstanceTerminalsTest() { begin({.instances = 10, .moving_counters = false}); }

  static ExecRequest command(std::vector<std::string> words) {
    ExecRequest request;
    request.command = std::move(words);
    return request;
  }
};

TEST_F(InstanceTerminalsTest, OpensAShellAndAuditsIt) {
  const auto output = std::make_shared<Output>();
  const auto terminal = take(service_->exec(admin(), "inst-00001", command({"sh"}), output));
  terminal->write("hello\n");
  EXPECT_TRUE(testing::eventually([&] { return output->text() == "hello\n"; }));
  terminal->write("exit\n");
  EXPECT_TRUE(testing::eventually([&] { return output->ended(); }));
  const auto records = audited();
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].entry.action, "instance.exec");
  EXPECT_EQ(records[0].entry.resource_id, "inst-00001");
  EXPECT_EQ(records[0].entry.details, R"({"command":["sh"]})");
}

TEST_F(InstanceTerminalsTest, RunsACommandAndAuditsItWithoutItsEnvironment) {
  auto request = command({"env"});
  request.environment["TOKEN"] = "hunter2";
  const auto ran = take(service_->run(admin(), "inst-00001", request, seconds(5)));
  EXPECT_EQ(ran.standard_output, "TOKEN=hunter2\n");
  for (const auto& record : audited()) EXPECT_EQ(record.entry.details.find("hunter2"), std::string::npos);
}

TEST_F(InstanceTerminalsTest, EndsARunAtItsTimeLimit) {
  expect_error(service_->run(admin(), "inst-00001", command({"sleep", "60"}), milliseconds(50)),
               ErrorCode::deadline_exceeded, "engine.timeout");
}

TEST_F(InstanceTerminalsTest, AuditsThatATerminalCouldNotBeOpened) {
  expect_error(service_->exec(admin(), "inst-00010", command({"sh"}), std::make_shared<Output>()), ErrorCode::conflict,
               "instance.state");
  const auto records = audited();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].entry.outcome, audit::Outcome::failure);
}

TEST_F(InstanceTerminalsTest, OpensNoneThatCannotBeAudited) {
  flaky_->writes_fail = true;
  expect_error(service_->exec(admin(), "inst-00001", command({"sh"}), std::make_shared<Output>()),
               ErrorCode::unavailable, "store.unavailable");
  expect_error(service_->console(admin(), "inst-00001", {}, std::make_shared<Output>()), ErrorCode::unavailable,
               "store.unavailable");
  EXPECT_EQ(engine_->faults().calls("exec") + engine_->faults().calls("console"), 0u);
  flaky_->writes_fail = false;
}

TEST_F(InstanceTerminalsTest, RefusesCommandsThatAreNone) {
  auto bad_environment = command({"env"});
  bad_environment.environment["A=B"] = "c";
  for (const auto& request :
       {command({}), command({""}), command(std::vector<std::string>(257, "x")), command({std::string(70'000, 'x')}),
        command({std::string("a\0b", 3)}), bad_environment}) {
    expect_error(service_->run(admin(), "inst-00001", request, seconds(1)), ErrorCode::invalid_argument,
                 "exec.command");
  }
  EXPECT_TRUE(audited().empty());
}

TEST_F(InstanceTerminalsTest, AuditsTheBeginningOfALongCommand) {
  take(service_->run(admin(), "inst-00001", command({"echo", std::string(5000, 'x')}), seconds(5)));
  EXPECT_EQ(audited().at(0).entry.details, R"({"command":["echo","…"]})");
}

TEST_F(InstanceTerminalsTest, OpensAConsoleAndAuditsIt) {
  const auto output = std::make_shared<Output>();
  const auto terminal = take(service_->console(admin(), "inst-00001", {100, 30}, output));
  terminal->close();
  EXPECT_TRUE(testing::eventually([&] { return output->ended(); }));
  EXPECT_EQ(audited().at(0).entry.action, "instance.console");
}

}  // namespace
}  // namespace berth::compute
