#include "app/server_engine.h"

#include <charconv>
#include <string_view>

#include "drivers/docker/docker_engine.h"
#include "drivers/fake/fake_engine.h"

namespace berth::app {
namespace {

using EnginePointer = std::unique_ptr<compute::InstanceEngine>;

constexpr std::string_view kFake = "fake://";

Result<EnginePointer> make_fake(std::string_view count, std::uint32_t host_cores) {
  drivers::fake::FakeEngine::Settings settings;
  settings.containers = true;
  settings.host_cores = host_cores;
  const char* const end = count.data() + count.size();
  const auto read = std::from_chars(count.data(), end, settings.instances);
  if (read.ec != std::errc{} || read.ptr != end || settings.instances > 1'000'000) {
    const Text message{"应为 fake://数量", "Must be fake://COUNT"};
    return Error(ErrorCode::invalid_argument, "server.address", message).with_field("url", message);
  }
  return EnginePointer(std::make_unique<drivers::fake::FakeEngine>(settings));
}

}  // namespace

Result<EnginePointer> make_server_engine(const fleet::Server& server, const ServerSurroundings& surroundings) {
  const fleet::ServerAddress& address = server.address;
  if (address.url.starts_with(kFake)) {
    return make_fake(std::string_view(address.url).substr(kFake.size()), surroundings.host_cores);
  }
  auto connection = BERTH_TRY(drivers::docker::make_connection({.url = address.url,
                                                                .ca_certificate = address.ca_certificate,
                                                                .certificate = address.certificate,
                                                                .key = address.key,
                                                                .host_key = address.host_key},
                                                               surroundings.sockets));
  return EnginePointer(std::make_unique<drivers::docker::DockerEngine>(std::move(connection)));
}

}  // namespace berth::app
