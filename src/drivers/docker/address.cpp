#include "drivers/docker/address.h"

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <vector>

#include "drivers/docker/authority.h"
#include "drivers/docker/memory_file.h"
#include "drivers/docker/ssh_tunnel.h"

namespace berth::drivers::docker {
namespace {

Error refused(std::string field, Text message) {
  return Error(ErrorCode::invalid_argument, "server.address", message).with_field(std::move(field), message);
}

constexpr std::string_view kUnix = "unix://";
constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kSsh = "ssh://";

Result<Connection> over_unix_socket(const std::string& path) {
  if (!path.starts_with('/') || path.size() > 107 || path.find('\0') != std::string::npos) {
    return refused(
        "url", {"套接字路径必须是不超过 107 字节的绝对路径", "A socket's path is absolute and has at most 107 bytes"});
  }
  Connection connection;
  connection.endpoint = unix_endpoint(path);
  connection.same_machine = true;
  return connection;
}

Result<Connection> over_tcp(const Address& address) {
  const bool tls = !address.ca_certificate.empty() || !address.certificate.empty() || !address.key.empty();
  std::string_view place = std::string_view(address.url).substr(kTcp.size());
  while (place.ends_with('/')) place.remove_suffix(1);
  const auto authority = parse_authority(place, tls ? "2376" : "2375");
  if (!authority) return refused("url", {"地址必须形如 tcp://主机:端口", "An address looks like tcp://host:port"});
  Connection connection;
  connection.endpoint.base_url = fmt::format("{}://{}:{}", tls ? "https" : "http", authority->host, authority->port);
  if (!tls) return connection;
  if (address.certificate.empty() != address.key.empty()) {
    return refused(address.key.empty() ? "key" : "certificate",
                   {"证书和私钥必须一起提供", "A certificate and its key go together"});
  }
  const auto files = std::make_shared<std::vector<MemoryFile>>();
  const auto add = [&files](std::string_view content) -> Result<std::string> {
    return files->emplace_back(BERTH_TRY(MemoryFile::make(content))).path();
  };
  if (!address.ca_certificate.empty()) {
    connection.endpoint.server_certificate = BERTH_TRY(add(address.ca_certificate));
  }
  if (!address.certificate.empty()) {
    connection.endpoint.client_certificate = BERTH_TRY(add(address.certificate));
    connection.endpoint.client_key = BERTH_TRY(add(address.key.reveal()));
  }
  connection.owner = files;
  return connection;
}

Result<Connection> over_ssh(const Address& address, const std::filesystem::path& folder) {
  if (!address.ca_certificate.empty() || !address.certificate.empty()) {
    return refused(address.certificate.empty() ? "ca_certificate" : "certificate",
                   {"证书仅用于 tcp://", "Certificates are for tcp:// only"});
  }
  if (folder.empty()) return refused("url", {"此处不能使用 ssh://", "ssh:// cannot be used here"});
  auto place = BERTH_TRY(parse_ssh_address(address.url, address.host_key, address.key));
  const auto tunnel = BERTH_TRY(SshTunnel::create(std::move(place), folder));
  Connection connection;
  connection.endpoint = unix_endpoint(tunnel->socket());
  connection.link = tunnel;
  return connection;
}

}  // namespace

http::Endpoint unix_endpoint(std::string socket_path) {
  http::Endpoint endpoint;
  endpoint.base_url = "http://localhost";
  endpoint.unix_socket = std::move(socket_path);
  return endpoint;
}

Result<Connection> make_connection(const Address& address, const std::filesystem::path& folder) {
  if (address.url.starts_with(kUnix)) return over_unix_socket(address.url.substr(kUnix.size()));
  if (address.url.starts_with(kTcp)) return over_tcp(address);
  if (address.url.starts_with(kSsh)) return over_ssh(address, folder);
  return refused("url",
                 {"地址必须以 unix://、tcp:// 或 ssh:// 开头", "An address begins with unix://, tcp:// or ssh://"});
}

}  // namespace berth::drivers::docker
