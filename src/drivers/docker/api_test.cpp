#include "drivers/docker/api.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>

#include "drivers/docker/address.h"
#include "drivers/docker/words.h"
#include "scripted_server.h"
#include "temporary_folder.h"

namespace berth::drivers::docker {
namespace {

using testing::ScriptedServer;
using testing::TemporaryFolder;

Deadline soon() {
  return Deadline::after(std::chrono::seconds(10));
}

Result<ServerVersion> decode(std::string_view newest, std::string_view oldest) {
  const auto document = json::Document::parse(
      fmt::format(R"({{"Version":"1.2.3","ApiVersion":"{}","MinAPIVersion":"{}","Arch":"amd64"}})", newest, oldest));
  return decode_version(document->root());
}

TEST(DockerVersion, SettlesOnTheNewestThatBothSidesKnow) {
  EXPECT_EQ(decode("1.41", "1.12")->api, "1.41");
  EXPECT_EQ(decode("1.99", "1.24")->api, kNewestApi);
  EXPECT_EQ(decode("1.41", "1.12")->version, "1.2.3");
  EXPECT_EQ(decode("1.41", "1.12")->architecture, "x86_64");
}

TEST(DockerVersion, RefusesEnginesThatAreTooOldOrTooNew) {
  EXPECT_EQ(decode("1.39", "1.12").error().reason(), "engine.version");
  EXPECT_EQ(decode("1.99", "1.98").error().reason(), "engine.version");
  EXPECT_EQ(decode("x", "").error().reason(), "engine.protocol");
  EXPECT_EQ(decode_version(json::View()).error().reason(), "engine.protocol");
}

TEST(DockerVersion, ComparesNumbersNotLetters) {
  EXPECT_LT(compare_versions("1.9", "1.41"), 0);
  EXPECT_GT(compare_versions("2.0", "1.41"), 0);
  EXPECT_EQ(compare_versions("1.41", "1.41"), 0);
}

TEST(DockerVersion, KnowsPodman) {
  const auto document = json::Document::parse(
      R"({"Version":"4.3.1","ApiVersion":"1.41","MinAPIVersion":"1.24","Components":[{"Name":"Podman Engine"}]})");
  EXPECT_EQ(decode_version(document->root())->product, "Podman");
}

void expect_error(const Error& error, ErrorCode code, std::string_view reason) {
  EXPECT_EQ(error.code(), code) << error.describe();
  EXPECT_EQ(error.reason(), reason) << error.describe();
}

TEST(DockerErrors, TurnsTheEnginesWordsIntoOurs) {
  const auto web = Subject::of_container("web");
  expect_error(translate(404, "No such container: web", web), ErrorCode::not_found, "instance.not_found");
  expect_error(translate(404, "No such image: x:latest", web), ErrorCode::not_found, "image.not_found");
  expect_error(translate(404, "network nonet not found", web), ErrorCode::not_found, "network.not_found");
  expect_error(translate(404, "sandbox 1b84 not found", web), ErrorCode::conflict, "instance.state");
  expect_error(translate(409, "Conflict. The container name \"/web\" is already in use by container \"7e\".", web),
               ErrorCode::already_exists, "instance.exists");
  expect_error(translate(500, "the container name \"web\" is already in use by dc59. You have to remove", web),
               ErrorCode::already_exists, "instance.exists");
  expect_error(translate(500,
                         "cannot remove container 3e as it is running - running or paused containers cannot be "
                         "removed without force: container state improper",
                         web),
               ErrorCode::conflict, "instance.running");
  expect_error(translate(500, "can only create exec sessions on running containers: container state improper", web),
               ErrorCode::conflict, "instance.state");
  expect_error(translate(409, "You cannot remove a running container 7e. Stop the container before", web),
               ErrorCode::conflict, "instance.running");
  expect_error(translate(409, "Container 7e is not running", web), ErrorCode::conflict, "instance.state");
  expect_error(translate(500, "Container 7e is not paused", web), ErrorCode::conflict, "instance.state");
  expect_error(translate(500, "driver failed: Bind for 0.0.0.0:80 failed: port is already allocated", web),
               ErrorCode::conflict, "instance.port");
  expect_error(translate(500, "write /x: no space left on device", web), ErrorCode::exhausted, "engine.exhausted");
  expect_error(translate(400, "Minimum memory limit allowed is 6MB", web), ErrorCode::invalid_argument,
               "engine.refused");
  expect_error(translate(500, "something", web), ErrorCode::internal, "engine.failed");
  expect_error(translate(503, "", web), ErrorCode::unavailable, "engine.unavailable");
  expect_error(translate(404, "get x: no such volume", Subject::of_volume("x")), ErrorCode::not_found,
               "volume.not_found");
  expect_error(translate(409, "remove x: volume is in use - [7e]", Subject::of_volume("x")), ErrorCode::conflict,
               "volume.in_use");
  expect_error(
      translate(403, "error while removing network: network x id 7e has active endpoints", Subject::of_network("x")),
      ErrorCode::conflict, "network.in_use");
  expect_error(translate(403, "host is a pre-defined network and cannot be removed", Subject::of_network("host")),
               ErrorCode::conflict, "network.built_in");
  expect_error(translate(409, "conflict: unable to remove repository reference", Subject::of_image("x")),
               ErrorCode::conflict, "image.in_use");
  expect_error(translate(404, "Could not find the file /a in container web", Subject::of_path("web", "/a")),
               ErrorCode::not_found, "archive.path");
  expect_error(translate(404, "No such container: web", Subject::of_path("web", "/a")), ErrorCode::not_found,
               "instance.not_found");
}

TEST(DockerErrors, TellsPeopleWhyAPullFailed) {
  const auto open = Subject::of_pull("example.com/x:1", false);
  const auto known = Subject::of_pull("example.com/x:1", true);
  expect_error(translate(404, "manifest for example.com/x:1 not found: manifest unknown", open), ErrorCode::not_found,
               "image.not_found");
  const std::string ambiguous = "pull access denied for x, repository does not exist or may require 'docker login'";
  expect_error(translate(404, ambiguous, open), ErrorCode::not_found, "image.not_found");
  expect_error(translate(404, ambiguous, known), ErrorCode::permission_denied, "registry.denied");
  expect_error(translate(500, "Get \"https://example.com/v2/\": unauthorized: authentication required", open),
               ErrorCode::permission_denied, "registry.denied");
  const Error refused = translate(500, "Get \"http://127.0.0.1:1/v2/\": dial tcp: connection refused", open);
  expect_error(refused, ErrorCode::unavailable, "registry.unavailable");
  EXPECT_NE(refused.message().en.find("connection refused"), std::string::npos);
  EXPECT_NE(refused.message().zh.find("connection refused"), std::string::npos);
  EXPECT_NE(refused.detail().find("connection refused"), std::string::npos);
}

TEST(DockerErrors, ShowNoPathsOfTheServer) {
  const Error error = translate(500, "open /var/lib/docker/x: permission denied", Subject::of_container("web"));
  EXPECT_EQ(error.message().en.find("/var"), std::string::npos);
  EXPECT_NE(error.detail().find("/var"), std::string::npos);
  EXPECT_EQ(shown("a\nb\x01"
                  "c "),
            "a b c");
  EXPECT_EQ(shown(std::string(499, 'x') + "实例").size(), 499u);
}

class DockerApiTest : public ::testing::Test {
 protected:
  void serve(ScriptedServer::Script script) {
    server_ = std::make_unique<ScriptedServer>(folder_ / "s", std::move(script));
  }
  static void answer_version(ScriptedServer::Peer& peer) {
    peer.answer(200, R"({"ApiVersion":"1.41","MinAPIVersion":"1.12","Version":"20.10"})");
  }

  TemporaryFolder folder_;
  std::unique_ptr<ScriptedServer> server_;
  Api api_{unix_endpoint(folder_ / "s")};
};

TEST_F(DockerApiTest, AsksForTheVersionOnceAndSpeaksIt) {
  std::atomic<int> versions{0};
  serve([&](ScriptedServer::Peer& peer) {
    for (std::string request; !(request = peer.read_request()).empty();) {
      if (request.starts_with("GET /version ")) {
        ++versions;
        answer_version(peer);
      } else {
        EXPECT_TRUE(request.starts_with("GET /v1.41/info ")) << request;
        peer.answer(200, "{}");
      }
    }
  });
  EXPECT_TRUE(api_.get("/info", {}, soon()));
  EXPECT_TRUE(api_.get("/info", {}, soon()));
  EXPECT_EQ(versions, 1);
}

TEST_F(DockerApiTest, AsksAgainAfterItsServerWasAway) {
  std::atomic<int> versions{0};
  const auto script = [&](ScriptedServer::Peer& peer) {
    for (std::string request; !(request = peer.read_request()).empty();) {
      if (request.starts_with("GET /version ")) {
        ++versions;
        answer_version(peer);
      } else {
        peer.answer(200, "{}");
      }
    }
  };
  serve(script);
  ASSERT_TRUE(api_.get("/info", {}, soon()));
  server_.reset();
  EXPECT_EQ(api_.get("/info", {}, soon()).error().reason(), "engine.unavailable");
  serve(script);
  EXPECT_TRUE(api_.get("/info", {}, soon()));
  EXPECT_EQ(versions, 2);
}

TEST_F(DockerApiTest, LivesWithGarbage) {
  for (const char* body : {"", "x", "{", "[]", "null", "{\"ApiVersion\":5}"}) {
    server_.reset();
    serve([&](ScriptedServer::Peer& peer) {
      while (!peer.read_request().empty()) peer.answer(200, body);
    });
    EXPECT_EQ(api_.get("/info", {}, soon()).error().reason(), "engine.protocol") << body;
  }
}

TEST_F(DockerApiTest, AsksFirstWhoseNameItIsWhereANameLooksLikeAnId) {
  serve([&](ScriptedServer::Peer& peer) {
    for (std::string request; !(request = peer.read_request()).empty();) {
      if (request.starts_with("GET /version ")) {
        answer_version(peer);
      } else {
        peer.answer(200, R"({"Id":"abcdef0123456789","Name":"/other"})");
      }
    }
  });
  EXPECT_EQ(api_.container_path("abcdef", soon()).error().reason(), "instance.not_found");
  EXPECT_EQ(*api_.container_path("web", soon()), "/containers/web");
  EXPECT_EQ(api_.container_path("../x", soon()).error().reason(), "instance.not_found");
}

}  // namespace
}  // namespace berth::drivers::docker
