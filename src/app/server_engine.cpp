#include "app/server_engine.h"

#include <charconv>
#include <string_view>

#include "drivers/docker/docker_engine.h"
#include "drivers/fake/fake_engine.h"

namespace berth::app {
namespace {

using EnginePointer = std::unique_ptr<compute::InstanceEngine>;

constexpr std::string_view kFake = "fake://";
constexpr std::string_view kSsh = "ssh://";

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

Result<EnginePointer> make_server_engine(const fleet::Server& server, std::uint32_t host_cores) {
  const std::string_view url = server.address.url;
  if (url.starts_with(kFake)) return make_fake(url.substr(kFake.size()), host_cores);
  if (url.starts_with(kSsh)) {
    const Text message{"此版本不支持 ssh://；请用 tcp:// 加 TLS，或转发到本机的套接字",
                       "ssh:// is not supported by this version; use tcp:// with TLS, or forward it to a local socket"};
    return Error(ErrorCode::unsupported, "server.scheme", message).with_field("url", message);
  }
  auto connection = BERTH_TRY(drivers::docker::make_connection(
      {server.address.url, server.address.ca_certificate, server.address.certificate, server.address.key}));
  return EnginePointer(std::make_unique<drivers::docker::DockerEngine>(std::move(connection)));
}

}  // namespace berth::app
