#include "drivers/docker/docker_engine.h"
#include "engines/docker_server.h"
#include "engines/instance_engine_conformance.h"
#include "engines/ssh_connection.h"

namespace berth::testing {
namespace {

EngineUnderTest make_engine(DockerServer& server, drivers::docker::Connection connection) {
  auto engine = std::make_shared<drivers::docker::DockerEngine>(std::move(connection));
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

EngineUnderTest make_docker_engine() {
  DockerServer& server = DockerServer::instance();
  return make_engine(server, {.endpoint = drivers::docker::unix_endpoint(server.socket())});
}

/// One connection over SSH leads all of the suite's engines.
EngineUnderTest make_docker_engine_over_ssh() {
  DockerServer& server = DockerServer::instance();
  static const drivers::docker::Connection connection = connection_over_ssh(SshServer::instance(), server.socket());
  return make_engine(server, connection);
}

INSTANTIATE_TEST_SUITE_P(Docker, InstanceEngineConformance, ::testing::Values(&make_docker_engine));
INSTANTIATE_TEST_SUITE_P(DockerOverSsh, InstanceEngineConformance, ::testing::Values(&make_docker_engine_over_ssh));

}  // namespace
}  // namespace berth::testing
