#include "drivers/lxd/lxd_engine.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "scripted_server.h"
#include "temporary_folder.h"

namespace berth::drivers::lxd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ScriptedServer;

Deadline soon() {
  return Deadline::after(seconds(10));
}

/// The engine against servers that say what no LXD should.
class LxdEngineAnswersTest : public ::testing::Test {
 protected:
  using Reply = std::function<void(ScriptedServer::Peer&, const std::string& request)>;

  void serve(Reply reply) {
    server_ = std::make_unique<ScriptedServer>(folder_ / "s", [reply = std::move(reply)](ScriptedServer::Peer& peer) {
      for (std::string request; !(request = peer.read_request()).empty();) reply(peer, request);
    });
  }
  /// Every request gets this.
  void serve(int status, std::string body) {
    serve([status, body = std::move(body)](ScriptedServer::Peer& peer, const std::string&) {
      peer.answer(status, body);
    });
  }
  void serve_error(int code, const std::string& words) {
    serve(code, fmt::format(R"({{"type":"error","error_code":{},"error":"{}"}})", code, words));
  }
  /// Changes begin an operation, which has ended like this once it is asked for.
  void serve_operation(int status_code, const std::string& words) {
    serve([=](ScriptedServer::Peer& peer, const std::string& request) {
      if (request.starts_with("GET /1.0/operations/")) {
        peer.answer(200,
                    fmt::format(R"({{"type":"sync","metadata":{{"status_code":{},"err":"{}"}}}})", status_code, words));
      } else if (request.starts_with("GET ")) {
        peer.answer(200, R"({"type":"sync","metadata":{"status":"Stopped"}})");
      } else {
        peer.answer(202, R"({"type":"async","operation":"/1.0/operations/0b8ff1c8-0000-4000-8000-000000000001"})");
      }
    });
  }

  testing::TemporaryFolder folder_;
  std::unique_ptr<ScriptedServer> server_;
  LxdEngine engine_{Settings{.endpoint = unix_endpoint(folder_ / "s")}};
};

TEST_F(LxdEngineAnswersTest, CallsWhatIsNoAnswerOfLxdAProtocolFault) {
  for (const char* body :
       {"", "<html>502</html>", "{", "[]", "null", "{}", R"({"type":"odd"})", R"({"type":"sync"})",
        R"({"type":"sync","metadata":5})", R"({"type":"sync","metadata":[{}]})", R"({"type":"async"})"}) {
    serve(200, body);
    const auto all = engine_.list(soon());
    ASSERT_FALSE(all) << body;
    EXPECT_EQ(all.error().code(), ErrorCode::internal) << body;
    EXPECT_EQ(all.error().reason(), "engine.protocol") << body << ": " << all.error().describe();
    EXPECT_FALSE(engine_.info(soon()));
    server_.reset();
  }
}

TEST_F(LxdEngineAnswersTest, CallsHalfAnAnswerAProtocolFault) {
  server_ = std::make_unique<ScriptedServer>(folder_ / "s", [](ScriptedServer::Peer& peer) {
    peer.read_request();
    peer.write("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"type\":\"sync\",\"metadata\":[");
  });
  EXPECT_EQ(engine_.list(soon()).error().reason(), "engine.protocol");
}

TEST_F(LxdEngineAnswersTest, ReadsDeeplyNestedAnswersWithoutHarm) {
  serve(200, R"({"type":"sync","metadata":)" + std::string(100'000, '['));
  EXPECT_EQ(engine_.list(soon()).error().reason(), "engine.protocol");
}

TEST_F(LxdEngineAnswersTest, IsUnavailableWhileLxdStartsOrDistrustsUs) {
  serve_error(503, "LXD daemon is starting up");
  EXPECT_EQ(engine_.list(soon()).error().reason(), "engine.unavailable");
  server_.reset();
  serve_error(403, "not authorized");
  EXPECT_EQ(engine_.list(soon()).error().reason(), "engine.unavailable");
  server_.reset();
  serve(200, R"({"type":"sync","metadata":{"auth":"untrusted","environment":{"server":"lxd"}}})");
  EXPECT_EQ(engine_.info(soon()).error().reason(), "engine.unavailable");
}

TEST_F(LxdEngineAnswersTest, KnowsIncusByItsName) {
  serve(200, R"({"type":"sync","metadata":{"auth":"trusted","environment":
    {"server":"incus","server_version":"6.0.0","server_name":"box"}}})");
  const auto info = engine_.info(soon());
  ASSERT_TRUE(info) << info.error().describe();
  EXPECT_EQ(info->product, "Incus");
  EXPECT_EQ(info->version, "6.0.0");
  EXPECT_EQ(info->host, "box");
}

TEST_F(LxdEngineAnswersTest, TurnsWhatAnOperationSaysIntoOurErrors) {
  struct Case {
    const char* words;
    ErrorCode code;
    const char* reason;
  };
  for (const auto& [words, code, reason] : {
           Case{"Failed to create instance delete operation: Instance is busy running a start operation",
                ErrorCode::conflict, "instance.state"},
           Case{"Instance is running", ErrorCode::conflict, "instance.running"},
           Case{"write rootfs: no space left on device", ErrorCode::exhausted, "engine.exhausted"},
           Case{"Invalid CPU limit syntax", ErrorCode::invalid_argument, "engine.refused"},
       }) {
    serve_operation(400, words);
    const auto removed = engine_.remove("web", {}, soon());
    ASSERT_FALSE(removed) << words;
    EXPECT_EQ(removed.error().code(), code) << removed.error().describe();
    EXPECT_EQ(removed.error().reason(), reason);
    server_.reset();
  }
  serve_operation(401, "");
  EXPECT_EQ(engine_.remove("web", {}, soon()).error().code(), ErrorCode::cancelled);
}

TEST_F(LxdEngineAnswersTest, ShowsNoPathsOfTheServerInMessages) {
  serve_operation(400, "open /var/lib/lxd/secret: permission denied");
  const auto removed = engine_.remove("web", {}, soon());
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().message().en.find("/var"), std::string::npos);
  EXPECT_EQ(removed.error().message().zh.find("/var"), std::string::npos);
  EXPECT_NE(removed.error().detail().find("/var"), std::string::npos);
}

TEST_F(LxdEngineAnswersTest, LooksForItselfWhereTheEngineForgotTheOperation) {
  std::atomic<bool> stopped{true};
  serve([&](ScriptedServer::Peer& peer, const std::string& request) {
    if (request.starts_with("GET /1.0/operations/")) {
      peer.answer(404, R"({"type":"error","error_code":404,"error":"Operation not found"})");
    } else if (request.starts_with("GET ")) {
      peer.answer(200, stopped ? R"({"type":"sync","metadata":{"status":"Stopped"}})"
                               : R"({"type":"sync","metadata":{"status":"Running"}})");
    } else {
      peer.answer(202, R"({"type":"async","operation":"/1.0/operations/0b8ff1c8-0000-4000-8000-000000000001"})");
    }
  });
  EXPECT_TRUE(engine_.stop("web", seconds(0), {}, soon()));
  EXPECT_EQ(engine_.start("web", {}, soon()).error().reason(), "engine.operation_gone");
  stopped = false;
  EXPECT_TRUE(engine_.start("web", {}, soon()));
}

TEST_F(LxdEngineAnswersTest, AsksTheEngineToEndAnOperationThatWasCancelled) {
  std::atomic<bool> ended{false};
  serve([&](ScriptedServer::Peer& peer, const std::string& request) {
    if (request.starts_with("DELETE /1.0/operations/")) {
      ended = true;
      peer.answer(200, R"({"type":"sync","metadata":{}})");
    } else if (request.starts_with("GET ")) {
      peer.answer(200, ended ? R"({"type":"sync","metadata":{"status_code":401,"may_cancel":true}})"
                             : R"({"type":"sync","metadata":{"status_code":103,"may_cancel":true}})");
    } else {
      peer.answer(202, R"({"type":"async","operation":"/1.0/operations/0b8ff1c8-0000-4000-8000-000000000001"})");
    }
  });
  compute::EngineProgress progress;
  progress.cancelled = [] { return true; };
  const auto removed = engine_.remove("web", progress, soon());
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().code(), ErrorCode::cancelled);
  EXPECT_TRUE(ended);
}

TEST_F(LxdEngineAnswersTest, ReadsProgressFromNumbersAndFromWords) {
  std::atomic<int> asked{0};
  serve([&](ScriptedServer::Peer& peer, const std::string& request) {
    if (!request.starts_with("GET ")) {
      return peer.answer(202, R"({"type":"async","operation":"/1.0/operations/0b8ff1c8-0000-4000-8000-000000000001"})");
    }
    const char* steps[] = {R"j({"download_progress":"rootfs: 12% (3MB/s)"})j",
                           R"({"progress":{"percent":"45","stage":"unpack"}})",
                           R"({"container_progress":"Remapping container filesystem"})", "null"};
    const int step = asked++;
    peer.answer(200, fmt::format(R"({{"type":"sync","metadata":{{"status_code":{},"metadata":{}}}}})",
                                 step < 4 ? 103 : 200, steps[std::min(step, 3)]));
  });
  std::vector<std::pair<int, std::string>> reports;
  compute::EngineProgress progress;
  progress.report = [&](int percent, std::string stage) { reports.emplace_back(percent, std::move(stage)); };
  ASSERT_TRUE(engine_.start("web", progress, soon()));
  EXPECT_EQ(reports,
            (std::vector<std::pair<int, std::string>>{
                {0, "start"}, {12, "download"}, {45, "unpack"}, {45, "container"}, {45, "start"}, {100, "start"}}));
}

TEST_F(LxdEngineAnswersTest, PassesNamesAndProjectAsData) {
  std::mutex mutex;
  std::vector<std::string> lines;
  server_ = std::make_unique<ScriptedServer>(folder_ / "s", [&](ScriptedServer::Peer& peer) {
    for (std::string request; !(request = peer.read_request()).empty();) {
      const std::lock_guard lock(mutex);
      lines.push_back(request.substr(0, request.find(" HTTP/")));
      peer.answer(404, R"({"type":"error","error_code":404,"error":"not found"})");
    }
  });
  LxdEngine engine(Settings{.endpoint = unix_endpoint(folder_ / "s"), .project = "a b&c=d"});
  EXPECT_FALSE(engine.images()->remove_image("x/../y?z", soon()));
  EXPECT_FALSE(engine.snapshots()->remove_snapshot("web", "s 1?", {}, soon()));
  EXPECT_FALSE(engine.get("web/state", soon()));
  const std::lock_guard lock(mutex);
  EXPECT_EQ(lines, (std::vector<std::string>{"GET /1.0/images/aliases/x%2F..%2Fy%3Fz?project=a%20b%26c%3Dd",
                                             "DELETE /1.0/instances/web/snapshots/s%201%3F?project=a%20b%26c%3Dd"}));
}

TEST_F(LxdEngineAnswersTest, TriesAnUpdateAgainThatSomeoneElseOvertook) {
  std::atomic<int> patches{0};
  serve([&](ScriptedServer::Peer& peer, const std::string& request) {
    if (request.starts_with("GET ")) {
      return peer.answer(200, R"({"type":"sync","metadata":{"name":"web","description":"old"}})",
                         fmt::format("ETag: v{}\r\n", patches.load()));
    }
    EXPECT_NE(request.find(fmt::format("If-Match: v{}\r\n", patches.load())), std::string::npos);
    if (++patches < 3) return peer.answer(412, R"({"type":"error","error_code":412,"error":"ETag doesn't match"})");
    peer.answer(200, R"({"type":"sync","metadata":{}})");
  });
  compute::InstanceChange change;
  change.memory_bytes = 64ULL << 20U;
  const auto updated = engine_.update("web", change, soon());
  EXPECT_TRUE(updated) << updated.error().describe();
  EXPECT_EQ(patches, 3);
}

}  // namespace
}  // namespace berth::drivers::lxd
