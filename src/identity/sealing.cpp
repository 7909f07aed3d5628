#include "identity/sealing.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "base/encoding.h"
#include "base/undo_stack.h"

namespace berth::identity {
namespace {

constexpr std::size_t kKeyBytes = crypto_aead_xchacha20poly1305_ietf_KEYBYTES;
constexpr std::size_t kNonceBytes = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTagBytes = crypto_aead_xchacha20poly1305_ietf_ABYTES;
constexpr std::string_view kVersion = "v1";

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string keyed_hash(const Secret& key, std::string_view input, std::size_t size) {
  std::string hash(size, '\0');
  crypto_generichash(reinterpret_cast<unsigned char*>(hash.data()), hash.size(), bytes_of(input), input.size(),
                     bytes_of(key.reveal()), key.reveal().size());
  return hash;
}

/// Names a key without telling anything about it.
std::string key_id(const Secret& key) {
  return to_hex(keyed_hash(key, "berth sealing key id", 16)).substr(0, 16);
}

/// What is authenticated beside the sealed bytes.
std::string bound_data(std::string_view id, std::string_view context) {
  return fmt::format("{}.{}.{}", kVersion, id, context);
}

Error broken(std::string detail) {
  return Error(ErrorCode::internal, "sealing.broken",
               {"加密数据已损坏或其密钥已丢失", "A sealed value is damaged or its key is gone"})
      .with_detail(std::move(detail));
}

Error file_error(std::string_view what, const std::filesystem::path& file, int error) {
  return Error(ErrorCode::unavailable, "sealing.file", {"无法写入密钥文件", "The key file cannot be written"})
      .with_detail(fmt::format("{} {}: {}", what, file.string(), std::strerror(error)));
}

Error bad_key_file(std::string detail) {
  return Error(ErrorCode::conflict, "sealing.key_file",
               {"密钥文件的每一行必须是 64 个十六进制字符", "Each line of the key file must be 64 hexadecimal digits"})
      .with_detail(std::move(detail));
}

Result<std::vector<Secret>> parse_keys(std::string_view text) {
  std::vector<Secret> keys;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) continue;
    auto key = from_hex(line);
    if (!key || key->size() != kKeyBytes) return bad_key_file(fmt::format("key {}", keys.size() + 1));
    keys.emplace_back(*key);
    wipe(*key);
  }
  if (keys.empty()) return bad_key_file("no key");
  return keys;
}

std::string random_key_line() {
  std::string key = random_bytes(kKeyBytes);
  std::string line = to_hex(key) + "\n";
  wipe(key);
  return line;
}

std::filesystem::path folder_of(const std::filesystem::path& file) {
  return file.has_parent_path() ? file.parent_path() : std::filesystem::path(".");
}

Result<void> write_all(int descriptor, std::string_view content, const std::filesystem::path& file) {
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return file_error("write", file, errno);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(descriptor) != 0) return file_error("fsync", file, errno);
  return {};
}

/// A file beside `file`, of mode 0600, with `content` on disk. The caller renames or removes it.
Result<std::filesystem::path> write_beside(const std::filesystem::path& file, std::string_view content) {
  std::filesystem::path temporary = file;
  temporary += "." + to_hex(random_bytes(8)) + ".new";
  const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return file_error("create", temporary, errno);
  auto written = write_all(descriptor, content, temporary);
  ::close(descriptor);
  if (!written) {
    ::unlink(temporary.c_str());
    return take_error(written);
  }
  return temporary;
}

Result<void> sync_folder(const std::filesystem::path& file) {
  const auto folder = folder_of(file);
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return file_error("open", folder, errno);
  const int outcome = ::fsync(descriptor);
  const int error = errno;
  ::close(descriptor);
  if (outcome != 0) return file_error("fsync", folder, error);
  return {};
}

/// Makes the file whole or not at all. One that somebody else made meanwhile stays.
Result<void> create_key_file(const std::filesystem::path& file) {
  std::string line = random_key_line();
  auto temporary = write_beside(file, line);
  wipe(line);
  if (!temporary) return take_error(temporary);
  const int outcome = ::link(temporary->c_str(), file.c_str());
  const int error = errno;
  ::unlink(temporary->c_str());
  if (outcome != 0 && error != EEXIST) return file_error("link", file, error);
  return sync_folder(file);
}

}  // namespace

Sealing::Sealing(std::vector<Secret> keys) : keys_(std::move(keys)) {
  if (keys_.empty()) throw std::logic_error("sealing needs a key");
  for (const Secret& key : keys_) {
    if (key.reveal().size() != kKeyBytes) throw std::logic_error("a sealing key must have 32 bytes");
  }
}

Result<Sealing> Sealing::load(const std::filesystem::path& file, bool create_missing) {
  std::error_code ignored;
  if (create_missing && !std::filesystem::exists(std::filesystem::symlink_status(file, ignored))) {
    BERTH_CHECK(create_key_file(file));
  }
  const Secret content = BERTH_TRY(read_secret_file(file.string()));
  return Sealing(BERTH_TRY(parse_keys(content.reveal())));
}

Sealing Sealing::from_keys(std::vector<Secret> keys) {
  return Sealing(std::move(keys));
}

std::string Sealing::seal(std::string_view plain, std::string_view context) const {
  const Secret& key = keys_.front();
  const std::string id = key_id(key);
  const std::string bound = bound_data(id, context);
  const std::string nonce = random_bytes(kNonceBytes);
  std::string sealed(plain.size() + kTagBytes, '\0');
  crypto_aead_xchacha20poly1305_ietf_encrypt(reinterpret_cast<unsigned char*>(sealed.data()), nullptr, bytes_of(plain),
                                             plain.size(), bytes_of(bound), bound.size(), nullptr, bytes_of(nonce),
                                             bytes_of(key.reveal()));
  return fmt::format("{}.{}.{}", kVersion, id, to_base64url(nonce + sealed));
}

Result<Secret> Sealing::open(std::string_view sealed, std::string_view context) const {
  const std::size_t first = sealed.find('.');
  const std::size_t second = first == std::string_view::npos ? first : sealed.find('.', first + 1);
  if (second == std::string_view::npos || sealed.substr(0, first) != kVersion) return broken("not a sealed value");
  const std::string_view id = sealed.substr(first + 1, second - first - 1);
  const auto body = from_base64url(sealed.substr(second + 1));
  if (!body || body->size() < kNonceBytes + kTagBytes) return broken("cut off or not base64");
  const std::string bound = bound_data(id, context);
  for (const Secret& key : keys_) {
    if (key_id(key) != id) continue;
    std::string plain(body->size() - kNonceBytes - kTagBytes, '\0');
    const int outcome = crypto_aead_xchacha20poly1305_ietf_decrypt(
        reinterpret_cast<unsigned char*>(plain.data()), nullptr, nullptr, bytes_of(*body) + kNonceBytes,
        body->size() - kNonceBytes, bytes_of(bound), bound.size(), bytes_of(*body), bytes_of(key.reveal()));
    if (outcome != 0) return broken("authentication failed");
    Secret opened(plain);
    wipe(plain);
    return opened;
  }
  return broken(fmt::format("no key {}", id));
}

bool Sealing::outdated(std::string_view sealed) const {
  return !sealed.starts_with(fmt::format("{}.{}.", kVersion, key_id(keys_.front())));
}

Secret Sealing::derive(std::string_view purpose) const {
  std::string derived = keyed_hash(keys_.back(), fmt::format("berth derived key: {}", purpose), kKeyBytes);
  Secret secret(derived);
  wipe(derived);
  return secret;
}

Result<void> Sealing::rotate(const std::filesystem::path& file) {
  UndoStack cleanup;
  const auto folder = folder_of(file);
  // Two rotations at once would otherwise each put its key in front of the same old file, and one
  // be lost.
  const int lock = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock < 0) return file_error("open", folder, errno);
  cleanup.push([lock] { ::close(lock); });
  if (::flock(lock, LOCK_EX) != 0) return file_error("lock", folder, errno);

  const Secret present = BERTH_TRY(read_secret_file(file.string()));
  BERTH_CHECK(parse_keys(present.reveal()));
  std::string content = random_key_line();
  content += present.reveal();
  content += '\n';
  auto temporary = write_beside(file, content);
  wipe(content);
  if (!temporary) return take_error(temporary);
  if (::rename(temporary->c_str(), file.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary->c_str());
    return file_error("rename", file, error);
  }
  return sync_folder(file);
}

}  // namespace berth::identity
