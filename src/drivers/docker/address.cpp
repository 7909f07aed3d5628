#include "drivers/docker/address.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <vector>

namespace berth::drivers::docker {
namespace {

Error refused(std::string field, Text message) {
  return Error(ErrorCode::invalid_argument, "server.address", message).with_field(std::move(field), message);
}

/// Files that live in this process's memory only, under names by which libraries can open them.
class MemoryFiles {
 public:
  MemoryFiles() = default;
  MemoryFiles(const MemoryFiles&) = delete;
  MemoryFiles& operator=(const MemoryFiles&) = delete;
  ~MemoryFiles() {
    for (const int file : files_) ::close(file);
  }

  Result<std::string> add(std::string_view content) {
    const int file = ::memfd_create("berth", MFD_CLOEXEC);
    if (file < 0) return internal_error("memfd_create failed");
    files_.push_back(file);
    while (!content.empty()) {
      const ssize_t written = ::write(file, content.data(), content.size());
      if (written <= 0) return internal_error("writing to memory failed");
      content.remove_prefix(static_cast<std::size_t>(written));
    }
    return fmt::format("/proc/self/fd/{}", file);
  }

 private:
  std::vector<int> files_;
};

bool is_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  return failure == std::errc() && end == text.data() + text.size() && port > 0;
}

/// "host:port", "[v6]:port" or a host alone, with the port that is missing.
Result<std::string> check_authority(std::string_view text, std::string_view port) {
  const Error bad = refused("url", {"地址必须形如 tcp://主机:端口", "An address looks like tcp://host:port"});
  while (text.ends_with('/')) text.remove_suffix(1);
  const std::size_t bracket = text.rfind(']');
  const std::size_t colon = text.rfind(':');
  const bool has_port = colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket);
  const std::string_view host = has_port ? text.substr(0, colon) : text;
  if (has_port && !is_port(text.substr(colon + 1))) return bad;
  const bool v6 = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  const auto plain = [v6](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_' || (v6 && (c == ':' || c == '[' || c == ']'));
  };
  if (host.empty() || !std::ranges::all_of(host, plain)) return bad;
  return fmt::format("{}:{}", host, has_port ? text.substr(colon + 1) : port);
}

}  // namespace

http::Endpoint unix_endpoint(std::string socket_path) {
  http::Endpoint endpoint;
  endpoint.base_url = "http://localhost";
  endpoint.unix_socket = std::move(socket_path);
  return endpoint;
}

Result<Connection> make_connection(const Address& address) {
  constexpr std::string_view kUnix = "unix://";
  constexpr std::string_view kTcp = "tcp://";
  Connection connection;
  if (address.url.starts_with(kUnix)) {
    const std::string path = address.url.substr(kUnix.size());
    if (!path.starts_with('/') || path.size() > 107 || path.find('\0') != std::string::npos) {
      return refused("url", {"套接字路径必须是不超过 107 字节的绝对路径",
                             "A socket's path is absolute and has at most 107 bytes"});
    }
    connection.endpoint = unix_endpoint(path);
    connection.same_machine = true;
    return connection;
  }
  if (!address.url.starts_with(kTcp)) {
    return refused("url", {"地址必须以 unix:// 或 tcp:// 开头", "An address begins with unix:// or tcp://"});
  }
  const bool tls = !address.ca_certificate.empty() || !address.certificate.empty() || !address.key.empty();
  const std::string authority =
      BERTH_TRY(check_authority(std::string_view(address.url).substr(kTcp.size()), tls ? "2376" : "2375"));
  connection.endpoint.base_url = (tls ? "https://" : "http://") + authority;
  if (!tls) return connection;
  if (address.certificate.empty() != address.key.empty()) {
    return refused(address.key.empty() ? "key" : "certificate",
                   {"证书和私钥必须一起提供", "A certificate and its key go together"});
  }
  const auto files = std::make_shared<MemoryFiles>();
  if (!address.ca_certificate.empty()) {
    connection.endpoint.server_certificate = BERTH_TRY(files->add(address.ca_certificate));
  }
  if (!address.certificate.empty()) {
    connection.endpoint.client_certificate = BERTH_TRY(files->add(address.certificate));
    connection.endpoint.client_key = BERTH_TRY(files->add(address.key.reveal()));
  }
  connection.owner = files;
  return connection;
}

}  // namespace berth::drivers::docker
