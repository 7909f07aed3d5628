// The ground of the tests of what Docker alone has: an engine on a real server, and containers that go with the test.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "drivers/docker/docker_engine.h"
#include "engines/docker_server.h"
#include "engines/instance_engine_under_test.h"
#include "eventually.h"

namespace berth::testing {

inline Deadline soon() {
  return Deadline::after(std::chrono::seconds(60));
}

inline drivers::docker::Connection connection_to(const DockerServer& server) {
  return {.endpoint = drivers::docker::unix_endpoint(server.socket()), .same_machine = true};
}

class DockerTest : public ::testing::Test {
 protected:
  explicit DockerTest(DockerServer& server = DockerServer::instance())
      : server_(server), engine_(connection_to(server)) {}

  void TearDown() override {
    for (const auto& name : made_) {
      (void)engine_.stop(name, std::chrono::seconds(0), {}, soon());
      (void)engine_.remove(name, {}, soon());
    }
  }

  /// A wish for a container of the small image, removed after the test.
  compute::NewInstance wish(bool start) {
    compute::NewInstance wish;
    wish.name = "dk-" + to_hex(random_bytes(5));
    wish.image = DockerServer::kImage;
    wish.start = start;
    made_.push_back(wish.name);
    return wish;
  }
  std::string make(const compute::NewInstance& wanted) {
    const auto created = engine_.create(wanted, {}, soon());
    EXPECT_TRUE(created) << created.error().describe();
    return wanted.name;
  }
  std::string make(bool start) { return make(wish(start)); }
  /// A running one of that command.
  std::string make(std::vector<std::string> command) {
    auto wanted = wish(true);
    wanted.container.emplace().command = std::move(command);
    return make(wanted);
  }

  compute::Instance get(const std::string& name) {
    auto found = engine_.get(name, soon());
    EXPECT_TRUE(found) << found.error().describe();
    return found ? *found : compute::Instance{};
  }
  compute::ContainerDetail inspect(const std::string& name) {
    auto found = engine_.containers()->inspect(name, soon());
    EXPECT_TRUE(found) << found.error().describe();
    return found ? *found : compute::ContainerDetail{};
  }
  compute::ExecOutcome run(const std::string& name, std::vector<std::string> command) {
    compute::ExecRequest request;
    request.command = std::move(command);
    auto outcome = engine_.terminals()->run(name, request, soon());
    EXPECT_TRUE(outcome) << outcome.error().describe();
    return outcome ? *outcome : compute::ExecOutcome{};
  }
  template <class T>
  static void expect_error(const Result<T>& result, ErrorCode code, std::string_view reason) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code(), code) << result.error().describe();
    EXPECT_EQ(result.error().reason(), reason) << result.error().describe();
  }

  DockerServer& server_;
  drivers::docker::DockerEngine engine_;
  std::vector<std::string> made_;
};

}  // namespace berth::testing
