#include <fmt/format.h>

#include <string>
#include <utility>

#include "compute/instance.h"
#include "drivers/docker/ssh_address.h"
#include "drivers/docker/words.h"

namespace berth::drivers::docker {
namespace {

constexpr std::string_view kDenied = "permission denied";
constexpr std::string_view kOtherHostKey = "host key verification failed";

std::string_view last_line(std::string_view words) {
  while (!words.empty() && (words.back() == '\n' || words.back() == '\r')) words.remove_suffix(1);
  const std::size_t begin = words.rfind('\n');
  return begin == std::string_view::npos ? words : words.substr(begin + 1);
}

/// What the last line means; a server's greeting may come before it and say anything.
Text meaning_of(std::string_view line, std::string_view words, const SshAddress& address) {
  if (contains(line, kDenied)) {
    if (contains(words, "load key \"/proc/self/fd/0\"")) {
      return {"ssh 无法读取私钥", "ssh cannot read the private key"};
    }
    return {fmt::format("服务器不接受用户 {} 的 SSH 密钥", address.user),
            fmt::format("The server does not take the SSH key for the user {}", address.user)};
  }
  if (contains(line, kOtherHostKey)) {
    return {"服务器的 SSH 主机密钥与登记的不符", "The server's SSH host key is not the one that is known of it"};
  }
  if (contains(line, "administratively prohibited")) {
    return {"SSH 服务器不允许转发套接字（AllowStreamLocalForwarding）",
            "The SSH server does not let sockets be forwarded (AllowStreamLocalForwarding)"};
  }
  if (contains(line, "open failed")) {
    return {fmt::format("服务器上的套接字 {} 不存在、无人监听，或用户 {} 无权使用", address.socket, address.user),
            fmt::format("The server has no socket {}, nobody listens on it, or the user {} may not use it",
                        address.socket, address.user)};
  }
  if (contains(line, "could not resolve hostname")) {
    return {fmt::format("找不到主机 {}", address.host), fmt::format("There is no host {}", address.host)};
  }
  if (contains(line, "connection refused")) {
    return {"SSH 连接被拒绝", "The SSH connection is refused"};
  }
  if (contains_any(line, {"timed out", "not responding", "no route to host", "network is unreachable"})) {
    return {"SSH 服务器没有应答", "The SSH server does not answer"};
  }
  return {"无法通过 SSH 连接服务器", "The server cannot be reached over SSH"};
}

}  // namespace

SshTrouble ssh_trouble(std::string_view words, const SshAddress& address) {
  const std::string_view line = last_line(words);
  const bool needs_a_person = contains_any(line, {kDenied, kOtherHostKey});
  std::string detail = line.empty() ? "ssh ended without a word" : shown(line);
  if (!line.empty() && !line.starts_with("ssh: ")) detail.insert(0, "ssh: ");
  return {Error(ErrorCode::unavailable, compute::engine_unavailable().reason(), meaning_of(line, words, address))
              .with_detail(std::move(detail)),
          needs_a_person};
}

}  // namespace berth::drivers::docker
