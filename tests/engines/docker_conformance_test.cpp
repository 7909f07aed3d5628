#include "drivers/docker/docker_engine.h"
#include "engines/docker_server.h"
#include "engines/instance_engine_conformance.h"

namespace berth::testing {
namespace {

EngineUnderTest make_docker_engine() {
  DockerServer& server = DockerServer::instance();
  auto engine = std::make_shared<drivers::docker::DockerEngine>(
      drivers::docker::Connection{.endpoint = drivers::docker::unix_endpoint(server.socket())});
  const auto act = [&server](http::Method method, const std::string& name, const std::string& rest) {
    server.api(method, "/containers/" + name + rest);
  };
  EngineUnderTest under_test;
  under_test.engine = engine.get();
  under_test.owner = engine;
  under_test.image = DockerServer::kImage;
  under_test.stopped_word = "created";
  under_test.start_outside = [act](const std::string& name) { act(http::Method::post, name, "/start"); };
  under_test.stop_outside = [act](const std::string& name) { act(http::Method::post, name, "/kill"); };
  under_test.remove_outside = [act](const std::string& name) { act(http::Method::delete_, name, ""); };
  under_test.disposable_image = [&server] {
    const std::string reference = "disposable-" + to_hex(random_bytes(3)) + ":latest";
    server.import_image(reference);
    return reference;
  };
  return under_test;
}

INSTANTIATE_TEST_SUITE_P(Docker, InstanceEngineConformance, ::testing::Values(&make_docker_engine));

}  // namespace
}  // namespace berth::testing
