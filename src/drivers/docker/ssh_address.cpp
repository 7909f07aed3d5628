#include "drivers/docker/ssh_address.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/encoding.h"
#include "drivers/docker/authority.h"

namespace berth::drivers::docker {
namespace {

constexpr std::string_view kScheme = "ssh://";
constexpr std::string_view kDefaultSocket = "/var/run/docker.sock";
constexpr std::size_t kLongestUser = 64;
constexpr std::size_t kLongestSocket = 107;
constexpr std::size_t kMostHostKeys = 16;

Error refused(std::string field, Text message) {
  return Error(ErrorCode::invalid_argument, "server.address", message).with_field(std::move(field), message);
}

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_made_of(std::string_view text, std::string_view marks) {
  return std::ranges::all_of(
      text, [marks](char c) { return is_letter_or_digit(c) || marks.find(c) != std::string_view::npos; });
}

bool is_user(std::string_view user) {
  return !user.empty() && user.size() <= kLongestUser && !user.starts_with('-') && is_made_of(user, "._-@+");
}

/// Nothing that means something to ssh in a forwarding: ':', '%', '$', '\\', '['.
bool is_socket(std::string_view path) {
  return path.starts_with('/') && path.size() > 1 && path.size() <= kLongestSocket && is_made_of(path, "/._-@+=,~");
}

Result<SshAddress> parse_url(std::string_view url) {
  const Error bad = refused("url", {"地址必须形如 ssh://用户@主机:端口/run/docker.sock，不含密码和特殊字符",
                                    "An address looks like ssh://user@host:port/run/docker.sock, without a password "
                                    "and special characters"});
  if (!url.starts_with(kScheme)) return bad;
  url.remove_prefix(kScheme.size());
  const std::size_t slash = std::min(url.find('/'), url.size());
  const std::string_view place = url.substr(0, slash);
  const std::string_view path = url.substr(slash);
  const std::size_t at = place.rfind('@');
  if (at == std::string_view::npos || !is_user(place.substr(0, at))) return bad;
  const auto authority = parse_authority(place.substr(at + 1), "22");
  if (!authority) return bad;
  SshAddress address;
  address.user = place.substr(0, at);
  address.host = authority->host;
  if (address.host.starts_with('[')) address.host = address.host.substr(1, address.host.size() - 2);
  address.port = authority->port;
  address.socket = path.size() > 1 ? path : kDefaultSocket;
  if (!is_socket(address.socket)) return bad;
  return address;
}

// ---- host keys

/// The text behind a length of four bytes, as SSH writes it.
std::optional<std::string_view> counted_text(std::string_view bytes) {
  if (bytes.size() < 4) return std::nullopt;
  std::size_t length = 0;
  for (const char c : bytes.substr(0, 4)) length = length << 8U | static_cast<unsigned char>(c);
  if (length > bytes.size() - 4) return std::nullopt;
  return bytes.substr(4, length);
}

std::vector<std::string_view> words_of(std::string_view line) {
  constexpr std::string_view kSpace = " \t\r";
  std::vector<std::string_view> words;
  for (auto begin = line.find_first_not_of(kSpace); begin != std::string_view::npos;
       begin = line.find_first_not_of(kSpace)) {
    line.remove_prefix(begin);
    words.push_back(line.substr(0, line.find_first_of(kSpace)));
    line.remove_prefix(words.back().size());
  }
  return words;
}

bool is_host_key_type(std::string_view word) {
  constexpr std::array<std::string_view, 5> kTypes = {"ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256",
                                                      "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"};
  return std::ranges::find(kTypes, word) != kTypes.end();
}

/// "[hosts] type key [comment]" as a line that is about kSshHostAlias.
std::optional<std::string> known_host_of(const std::vector<std::string_view>& words) {
  const std::size_t type = !words.empty() && is_host_key_type(words[0]) ? 0 : 1;
  if (words.size() < type + 2 || !is_host_key_type(words[type]) || words[0].starts_with('@')) return std::nullopt;
  const auto key = from_base64(words[type + 1]);
  if (!key || counted_text(*key) != words[type]) return std::nullopt;
  return fmt::format("{} {} {}\n", kSshHostAlias, words[type], to_base64(*key));
}

Result<std::string> known_hosts_of(std::string_view text, const SshAddress& address) {
  std::string known;
  std::size_t count = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto words = words_of(line);
    if (words.empty() || words.front().starts_with('#')) continue;
    const auto host = known_host_of(words);
    if (!host || ++count > kMostHostKeys) {
      return refused("host_key", {"主机密钥应为 known_hosts 的行（最多 16 行，不含 @ 标记）",
                                  "The host key is lines of known_hosts, 16 at most and without @ markers"});
    }
    known += *host;
  }
  if (!known.empty()) return known;
  const std::string scan = fmt::format("ssh-keyscan -p {} {}", address.port, address.host);
  return refused("host_key", {fmt::format("SSH 地址需要服务器的主机密钥：用 {} 获取，并与服务器核对", scan),
                              fmt::format("An SSH address needs the server's host key: get it with {}, and compare it "
                                          "with the server's own",
                                          scan)});
}

// ---- our key

enum class KeyKind { none, open, locked };

constexpr std::string_view kBegin = "-----BEGIN ";

/// Whether the body of OpenSSH's own format is under a passphrase.
KeyKind kind_of_openssh(std::string_view body) {
  std::string packed;
  std::ranges::copy_if(body.substr(0, body.find("-----")), std::back_inserter(packed),
                       [](char c) { return c != '\n' && c != '\r' && c != ' '; });
  auto bytes = from_base64(packed);
  wipe(packed);
  if (!bytes) return KeyKind::none;
  constexpr std::string_view kMagic("openssh-key-v1\0", 15);
  std::string_view rest = *bytes;
  const bool ours = rest.starts_with(kMagic);
  const auto cipher = ours ? counted_text(rest.substr(kMagic.size())) : std::nullopt;
  const KeyKind kind = !cipher ? KeyKind::none : *cipher == "none" ? KeyKind::open : KeyKind::locked;
  wipe(*bytes);
  return kind;
}

KeyKind kind_of(std::string_view key) {
  if (!key.starts_with(kBegin)) return KeyKind::none;
  const std::size_t end = key.find("-----", kBegin.size());
  if (end == std::string_view::npos) return KeyKind::none;
  const std::string_view name = key.substr(kBegin.size(), end - kBegin.size());
  if (name == "ENCRYPTED PRIVATE KEY" || key.find("Proc-Type: 4,ENCRYPTED") != std::string_view::npos) {
    return KeyKind::locked;
  }
  if (name == "OPENSSH PRIVATE KEY") return kind_of_openssh(key.substr(end + 5));
  return name == "PRIVATE KEY" || name == "RSA PRIVATE KEY" || name == "EC PRIVATE KEY" ? KeyKind::open : KeyKind::none;
}

Result<Secret> checked_key(const Secret& key) {
  std::string_view text = key.reveal();
  const std::size_t begin = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  text.remove_prefix(begin);
  switch (kind_of(text)) {
    case KeyKind::none:
      return refused("key", {"SSH 地址需要 PEM 格式的私钥", "An SSH address needs a private key in PEM"});
    case KeyKind::locked:
      return refused("key", {"私钥受口令保护，Berth 无法使用；请为它生成一把没有口令的密钥",
                             "The key is under a passphrase, which Berth cannot type; make one without for it"});
    case KeyKind::open:
      break;
  }
  // ssh wants lines that end in '\n' alone, the last one too.
  std::string lines;
  lines.reserve(text.size() + 1);
  std::ranges::copy_if(text, std::back_inserter(lines), [](char c) { return c != '\r'; });
  if (!lines.ends_with('\n')) lines += '\n';
  return Secret(std::move(lines));
}

}  // namespace

Result<SshAddress> parse_ssh_address(std::string_view url, std::string_view host_key, const Secret& key) {
  SshAddress address = BERTH_TRY(parse_url(url));
  address.known_hosts = BERTH_TRY(known_hosts_of(host_key, address));
  address.key = BERTH_TRY(checked_key(key));
  return address;
}

std::vector<std::string> ssh_command(const SshAddress& address) {
  std::vector<std::string> words{"ssh", "-F", "none", "-N", "-T", "-i", "/proc/self/fd/0"};
  const auto set = [&words](std::string option) {
    words.emplace_back("-o");
    words.push_back(std::move(option));
  };
  // Who we are: this key, and nothing that happens to lie about.
  set("IdentitiesOnly=yes");
  set("IdentityAgent=none");
  set("PreferredAuthentications=publickey");
  set("BatchMode=yes");
  // Who they are: who has this key, and nobody else.
  set("StrictHostKeyChecking=yes");
  set("UserKnownHostsFile=/proc/self/fd/1");
  set("GlobalKnownHostsFile=/dev/null");
  set(fmt::format("HostKeyAlias={}", kSshHostAlias));
  set("UpdateHostKeys=no");
  // One connection that we hear of when it breaks.
  set("ControlPath=none");
  set("ConnectTimeout=8");
  set("ServerAliveInterval=5");
  set("ServerAliveCountMax=3");
  set("ExitOnForwardFailure=yes");
  set("StreamLocalBindUnlink=yes");
  // A failure of a forwarded connection is told at this level.
  set("LogLevel=INFO");
  words.insert(words.end(), {"-L", "/proc/self/cwd/engine.sock:" + address.socket, "-p", address.port, "-l",
                             address.user, "--", address.host});
  return words;
}

}  // namespace berth::drivers::docker
