#include "agent/agent.h"

#include <gtest/gtest.h>

#include <deque>

#include "compute/container_engine.h"
#include "drivers/fake/fake_engine.h"
#include "eventually.h"
#include "temporary_folder.h"

namespace berth::agent {
namespace {

using berth::testing::eventually;
using compute::Status;
using fleet::Grant;
using fleet::Holding;
using std::chrono::milliseconds;

/// Berth as the agent sees it: answers what it was told to, or nothing.
class ScriptedSource final : public LeaseSource {
 public:
  Result<fleet::LeaseAnswer> ask(const fleet::LeaseRequest& request, Deadline) override {
    const std::lock_guard lock(mutex_);
    last_ = request;
    ++asked_;
    if (!answers_) return Error(ErrorCode::unavailable, "http.unreachable", {"没有应答", "No answer"});
    fleet::LeaseAnswer answer{.grant = request.leaving ? leaving_ : grant_,
                              .number = ++number_,
                              .terms = terms_,
                              .not_to_start = not_to_start_};
    return answer;
  }

  void grant(Grant grant) {
    const std::lock_guard lock(mutex_);
    answers_ = true;
    grant_ = grant;
  }
  void fall_silent() {
    const std::lock_guard lock(mutex_);
    answers_ = false;
  }
  void tell(fleet::NotToStart not_to_start) {
    const std::lock_guard lock(mutex_);
    not_to_start_ = std::move(not_to_start);
  }
  void refuse_to_release() {
    const std::lock_guard lock(mutex_);
    leaving_ = Grant::refused;
  }
  fleet::LeaseRequest last() const {
    const std::lock_guard lock(mutex_);
    return last_;
  }

 private:
  mutable std::mutex mutex_;
  bool answers_ = true;
  Grant grant_ = Grant::timed;
  Grant leaving_ = Grant::released;
  fleet::NotToStart not_to_start_;
  fleet::LeaseTerms terms_{.duration = milliseconds(400), .renewal = milliseconds(50), .stopping = milliseconds(2000)};
  fleet::LeaseRequest last_;
  int asked_ = 0;
  std::int64_t number_ = 0;
};

class AgentTest : public ::testing::Test {
 protected:
  AgentTest() : engine_({.containers = true}) {
    for (const std::string name : {"web", "shop", "spare"}) {
      compute::NewInstance wish;
      wish.name = name;
      wish.image = drivers::fake::FakeEngine::kImage;
      wish.container.emplace().restart_policy = compute::RestartPolicy::always;
      wish.start = name != "spare";
      take(engine_.create(wish, {}, soon()));
    }
    settings_.containers = folder_.path() / "containers";
    settings_.memory = folder_.path() / "memory.json";
    settings_.engine_look = milliseconds(50);
    settings_.grace = milliseconds(100);
  }

  void start() {
    agent_ = take(Agent::create(settings_, source_, engine_));
    agent_->start();
  }
  /// Has a lease and knows what runs.
  void settle() {
    start();
    ASSERT_TRUE(eventually([&] { return source_.last().holding == Holding::timed; }));
    // What ran is known once the engine was looked at, which happens before anything is stopped.
    ASSERT_TRUE(eventually([&] { return engine_.faults().calls("list") > 1; }));
  }

  template <class T>
  static T take(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().describe());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
  }
  static Deadline soon() { return Deadline::after(std::chrono::seconds(10)); }
  Status status(const std::string& name) { return take(engine_.get(name, soon())).status; }
  bool both(Status wanted) { return status("web") == wanted && status("shop") == wanted; }

  testing::TemporaryFolder folder_;
  drivers::fake::FakeEngine engine_;
  ScriptedSource source_;
  Agent::Settings settings_;
  std::unique_ptr<Agent> agent_;
};

TEST_F(AgentTest, WhileItHoldsALeaseEverythingRuns) {
  settle();
  EXPECT_TRUE(both(Status::running));
  EXPECT_TRUE(agent_->alive());
}

TEST_F(AgentTest, WhenTheLeaseRunsOutEverythingIsStopped) {
  settle();
  source_.fall_silent();
  EXPECT_TRUE(eventually([&] { return both(Status::stopped); }));
}

TEST_F(AgentTest, ARefusalStopsEverythingAndItSaysSo) {
  settle();
  source_.grant(Grant::refused);
  EXPECT_TRUE(eventually([&] { return both(Status::stopped); }));
  EXPECT_TRUE(eventually([&] { return source_.last().holding == Holding::nothing && source_.last().running == 0; }));
}

TEST_F(AgentTest, WithALeaseAgainItStartsWhatItHadStoppedAndNothingElse) {
  settle();
  source_.grant(Grant::refused);
  ASSERT_TRUE(eventually([&] { return both(Status::stopped); }));
  source_.tell({.elsewhere = {{"shop", ""}}, .unwanted = {}, .changing = {}});
  source_.grant(Grant::timed);
  EXPECT_TRUE(eventually([&] { return status("web") == Status::running; }));
  EXPECT_EQ(status("shop"), Status::stopped) << "it lives elsewhere now";
  EXPECT_EQ(status("spare"), Status::stopped) << "it did not run before";
}

TEST_F(AgentTest, WhatLivesElsewhereIsKnownUnderAnotherNameToo) {
  settle();
  source_.grant(Grant::refused);
  ASSERT_TRUE(eventually([&] { return both(Status::stopped); }));
  source_.tell({.elsewhere = {{"shop-of-old", engine_.engine_id_of("shop")}}, .unwanted = {}, .changing = {}});
  source_.grant(Grant::timed);
  EXPECT_TRUE(eventually([&] { return status("web") == Status::running; }));
  EXPECT_TRUE(eventually([&] { return source_.last().holding == Holding::timed; }));
  EXPECT_EQ(status("shop"), Status::stopped);
}

TEST_F(AgentTest, WhatSomebodyHasStoppedMeanwhileStaysStopped) {
  settle();
  source_.grant(Grant::refused);
  ASSERT_TRUE(eventually([&] { return both(Status::stopped) && source_.last().owes == 2; }));
  source_.tell({.elsewhere = {}, .unwanted = {{"shop", engine_.engine_id_of("shop")}}, .changing = {}});
  source_.grant(Grant::timed);
  EXPECT_TRUE(eventually([&] { return source_.last().owes == 0; }));
  EXPECT_EQ(status("web"), Status::running);
  EXPECT_EQ(status("shop"), Status::stopped);
}

TEST_F(AgentTest, WhatIsBeingChangedIsStartedOnceThatHasEnded) {
  settle();
  source_.grant(Grant::refused);
  ASSERT_TRUE(eventually([&] { return both(Status::stopped) && source_.last().owes == 2; }));
  source_.tell({.elsewhere = {}, .unwanted = {}, .changing = {{"shop", ""}}});
  source_.grant(Grant::timed);
  EXPECT_TRUE(eventually([&] { return source_.last().owes == 1; }));
  EXPECT_EQ(status("web"), Status::running);
  EXPECT_EQ(status("shop"), Status::stopped);
  source_.tell({});
  EXPECT_TRUE(eventually([&] { return source_.last().owes == 0; }));
  EXPECT_EQ(status("shop"), Status::running);
}

TEST_F(AgentTest, WhatWasRenamedMeanwhileIsStartedToo) {
  settle();
  source_.grant(Grant::refused);
  ASSERT_TRUE(eventually([&] { return both(Status::stopped); }));
  ASSERT_TRUE(engine_.rename_outside("shop", "shop-of-old"));
  source_.grant(Grant::timed);
  EXPECT_TRUE(eventually([&] { return status("shop-of-old") == Status::running; }));
}

TEST_F(AgentTest, WhatIsStoppedAgainWhileItIsBeingStartedIsStillOwed) {
  settle();
  source_.grant(Grant::refused);
  ASSERT_TRUE(eventually([&] { return both(Status::stopped); }));
  engine_.faults().hang_call("start", true);
  source_.grant(Grant::timed);
  ASSERT_TRUE(eventually([&] { return engine_.faults().waiting_calls() > 0; }));
  source_.grant(Grant::refused);
  ASSERT_TRUE(eventually([&] { return source_.last().holding == Holding::nothing; }));
  engine_.faults().hang_call("start", false);
  EXPECT_TRUE(eventually([&] { return both(Status::stopped) && source_.last().running == 0; }));
  source_.grant(Grant::timed);
  EXPECT_TRUE(eventually([&] { return both(Status::running); }));
}

TEST_F(AgentTest, WhatIsStartedWithoutALeaseRunsOnceThereIsOne) {
  settle();
  source_.grant(Grant::refused);
  ASSERT_TRUE(eventually([&] { return both(Status::stopped); }));
  ASSERT_TRUE(engine_.start_outside("spare"));
  EXPECT_TRUE(eventually([&] { return status("spare") == Status::stopped; }));
  source_.grant(Grant::timed);
  EXPECT_TRUE(eventually([&] { return status("spare") == Status::running; }));
}

TEST_F(AgentTest, AfterARestartItStillKnowsWhatItStopped) {
  settle();
  source_.grant(Grant::refused);
  ASSERT_TRUE(eventually([&] { return both(Status::stopped); }));
  agent_.reset();
  start();
  source_.grant(Grant::timed);
  EXPECT_TRUE(eventually([&] { return both(Status::running); }));
}

TEST_F(AgentTest, ABoundAgentThatStartsWithoutBerthLetsNothingRun) {
  settle();
  agent_.reset();
  source_.fall_silent();
  start();
  EXPECT_TRUE(eventually([&] { return both(Status::stopped); }));
}

TEST_F(AgentTest, AnAgentThatNeverHadALeaseStopsNothing) {
  source_.fall_silent();
  start();
  ASSERT_TRUE(eventually([&] { return engine_.faults().calls("list") > 3; }));
  EXPECT_TRUE(both(Status::running));
}

TEST_F(AgentTest, WhoIsReleasedLeavesEverythingRunning) {
  settle();
  EXPECT_TRUE(agent_->leave());
  agent_.reset();
  source_.fall_silent();
  start();
  ASSERT_TRUE(eventually([&] { return engine_.faults().calls("list") > 3; }));
  EXPECT_TRUE(both(Status::running));
}

TEST_F(AgentTest, WhoIsNotReleasedStopsEverythingFirst) {
  settle();
  source_.refuse_to_release();
  EXPECT_FALSE(agent_->leave());
  EXPECT_TRUE(eventually([&] { return both(Status::stopped); }));
}

TEST_F(AgentTest, AStandingLeaseOutlivesBerth) {
  settle();
  source_.grant(Grant::standing);
  ASSERT_TRUE(eventually([&] { return source_.last().holding == Holding::standing; }));
  source_.fall_silent();
  agent_.reset();
  start();
  ASSERT_TRUE(eventually([&] { return engine_.faults().calls("list") > 6; }));
  EXPECT_TRUE(both(Status::running));
}

TEST_F(AgentTest, WhatItCannotRememberItHasNotHeard) {
  std::filesystem::create_directory(settings_.memory.string() + ".new");
  start();
  ASSERT_TRUE(eventually([&] { return engine_.faults().calls("list") > 1; }));
  EXPECT_EQ(source_.last().holding, Holding::unbound);
  EXPECT_EQ(source_.last().last_answer, 0);
}

}  // namespace
}  // namespace berth::agent
