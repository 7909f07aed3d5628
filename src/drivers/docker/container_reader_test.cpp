#include "drivers/docker/container_reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <set>

#include "scripted_server.h"
#include "temporary_folder.h"

namespace berth::drivers::docker {
namespace {

using std::chrono::seconds;
using testing::ScriptedServer;
using testing::TemporaryFolder;

/// An engine that tells the use of containers in one round only, for which it waits until all of them are asked for.
class DockerOfOneRound {
 public:
  DockerOfOneRound(std::size_t running, std::size_t stopped)
      : running_(running), stopped_(stopped), server_(folder_ / "s", [this](auto& peer) { serve(peer); }) {}

  http::Endpoint endpoint() const {
    http::Endpoint endpoint;
    endpoint.base_url = "http://localhost";
    endpoint.unix_socket = server_.path();
    return endpoint;
  }

 private:
  void serve(ScriptedServer::Peer& peer) {
    while (true) {
      const std::string request = peer.read_request();
      if (request.empty()) return;
      const std::string path = request.substr(0, request.find(" HTTP"));
      if (path.ends_with("/version")) {
        peer.answer(200, R"({"Version":"20.10.24","ApiVersion":"1.41","MinAPIVersion":"1.12","Arch":"amd64"})");
      } else if (path.contains("/containers/json")) {
        peer.answer(200, list());
      } else if (path.contains("/stats")) {
        peer.answer(200, wait_for_all(path) ? R"({"cpu_stats":{"cpu_usage":{"total_usage":1000}}})" : "{}");
      } else {
        peer.answer(404, "{}");
      }
    }
  }
  std::string list() const {
    std::string entries;
    for (std::size_t i = 0; i < stopped_ + running_; ++i) {
      entries += fmt::format(R"({}{{"Id":"{:04}","Names":["/c{}"],"State":"{}"}})", i == 0 ? "" : ",", i, i,
                             i < stopped_ ? "exited" : "running");
    }
    return "[" + entries + "]";
  }
  bool wait_for_all(const std::string& path) {
    std::unique_lock lock(mutex_);
    asking_.insert(path);
    all_ask_.notify_all();
    return all_ask_.wait_for(lock, seconds(2), [this] { return asking_.size() == running_; });
  }

  const std::size_t running_;
  const std::size_t stopped_;
  std::mutex mutex_;
  std::condition_variable all_ask_;
  std::set<std::string> asking_;
  TemporaryFolder folder_;
  ScriptedServer server_;
};

TEST(DockerContainerReader, AsksForTheUseOfAllContainersAtOnce) {
  DockerOfOneRound engine(200, 300);
  Api api(engine.endpoint());
  ContainerReader reader(api);
  const auto read = reader.list(Deadline::after(seconds(20)));
  ASSERT_TRUE(read) << read.error().describe();
  EXPECT_EQ(read->size(), 500u);
  EXPECT_EQ(std::ranges::count_if(*read, [](const auto& one) { return one.counters.cpu_ns == 1000; }), 200);
}

}  // namespace
}  // namespace berth::drivers::docker
