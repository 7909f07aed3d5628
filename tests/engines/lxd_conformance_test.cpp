#include "drivers/lxd/lxd_engine.h"
#include "engines/instance_engine_conformance.h"
#include "engines/lxd_server.h"

namespace berth::testing {
namespace {

EngineUnderTest make_lxd_engine() {
  LxdServer& server = LxdServer::instance();
  auto engine = std::make_shared<drivers::lxd::LxdEngine>(
      drivers::lxd::Settings{.endpoint = drivers::lxd::unix_endpoint(server.socket())});
  EngineUnderTest under_test;
  under_test.engine = engine.get();
  under_test.owner = engine;
  under_test.image = LxdServer::kImage;
  under_test.start_outside = [&server](const std::string& name) { server.lxc({"start", name}); };
  under_test.stop_outside = [&server](const std::string& name) { server.lxc({"stop", "--force", name}); };
  under_test.remove_outside = [&server](const std::string& name) { server.lxc({"delete", name}); };
  under_test.disposable_image = [&server] {
    const std::string alias = "disposable-" + to_hex(random_bytes(3));
    server.import_image(alias);
    return alias;
  };
  return under_test;
}

INSTANTIATE_TEST_SUITE_P(Lxd, InstanceEngineConformance, ::testing::Values(&make_lxd_engine));

}  // namespace
}  // namespace berth::testing
