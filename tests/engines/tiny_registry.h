#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/sha.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/encoding.h"

namespace berth::testing {

/// A registry of images on 127.0.0.1 over plain HTTP, which Docker allows there: one image of one layer under any name
/// that begins with "box", any tag but "none". It can want a password, and cut a layer off in the middle.
class TinyRegistry {
 public:
  /// `layer_file` is a tar of a root.
  explicit TinyRegistry(const std::string& layer_file) {
    std::ifstream in(layer_file, std::ios::binary);
    const std::string layer{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const std::string layer_digest = add_blob(layer);
    const std::string config = R"({"architecture":"amd64","os":"linux","config":{"Cmd":["/sbin/idle"],)"
                               R"("Env":["PATH=/bin:/sbin"]},"rootfs":{"type":"layers","diff_ids":[")" +
                               layer_digest + R"("]},"history":[{"created_by":"tests"}]})";
    const std::string config_digest = add_blob(config);
    manifest_ = R"({"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",)"
                R"("config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":)" +
                std::to_string(config.size()) + R"(,"digest":")" + config_digest +
                R"("},"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":)" +
                std::to_string(layer.size()) + R"(,"digest":")" + layer_digest + R"("}]})";
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), length) != 0 || ::listen(listener_, 16) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
      throw std::runtime_error("no port for a registry");
    }
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    acceptor_ = std::thread([this] { accept(); });
  }
  TinyRegistry(const TinyRegistry&) = delete;
  TinyRegistry& operator=(const TinyRegistry&) = delete;
  ~TinyRegistry() {
    ending_ = true;
    acceptor_.join();
    for (auto& server : servers_) server.join();
    ::close(listener_);
  }

  const std::string& address() const { return address_; }
  std::string digest() const { return digest_of(manifest_); }
  /// From now on only who knows these comes in.
  void want_password(const std::string& username, const std::string& password) {
    const std::lock_guard lock(mutex_);
    login_ = "Basic " + to_base64(username + ":" + password);
  }
  /// Layers end after so many bytes, until this is called with 0.
  void cut_off_after(std::size_t bytes) { cut_off_ = bytes; }
  /// The second half of a layer comes at 400 KB a second.
  void dawdle(bool slowly) { slowly_ = slowly; }

 private:
  static std::string digest_of(const std::string& bytes) {
    std::string hash(SHA256_DIGEST_LENGTH, '\0');
    SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
           reinterpret_cast<unsigned char*>(hash.data()));
    return "sha256:" + to_hex(hash);
  }
  std::string add_blob(const std::string& bytes) {
    std::string digest = digest_of(bytes);
    blobs_.emplace(digest, bytes);
    return digest;
  }

  void accept() {
    while (!ending_) {
      pollfd wait{listener_, POLLIN, 0};
      if (::poll(&wait, 1, 20) <= 0) continue;
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) continue;
      servers_.emplace_back([this, socket] {
        serve(socket);
        ::close(socket);
      });
    }
  }

  void serve(int socket) {
    std::string buffer;
    while (!ending_) {
      pollfd wait{socket, POLLIN, 0};
      if (::poll(&wait, 1, 20) <= 0) continue;
      char bytes[4096];
      const ssize_t count = ::recv(socket, bytes, sizeof bytes, 0);
      if (count <= 0) return;
      buffer.append(bytes, static_cast<std::size_t>(count));
      // Docker tries TLS first, and waits long for an answer.
      if (buffer.front() < 'A') return;
      const std::size_t end = buffer.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      if (!answer(socket, buffer.substr(0, end + 2))) return;
      buffer.erase(0, end + 4);
    }
  }

  bool answer(int socket, const std::string& request) {
    const std::size_t from = request.find(' ') + 1;
    const std::string path = request.substr(from, request.find(' ', from) - from);
    {
      const std::lock_guard lock(mutex_);
      if (!login_.empty() && request.find("Authorization: " + login_ + "\r\n") == std::string::npos) {
        return send(socket, 401, "WWW-Authenticate: Basic realm=\"tests\"\r\n",
                    R"({"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]})");
      }
    }
    if (path == "/v2/") return send(socket, 200, "Docker-Distribution-Api-Version: registry/2.0\r\n", "{}");
    if (path.starts_with("/v2/box")) {
      if (path.find("/manifests/") != std::string::npos && !path.ends_with("/none")) {
        return send(socket, 200,
                    "Content-Type: application/vnd.docker.distribution.manifest.v2+json\r\nDocker-Content-Digest: " +
                        digest() + "\r\n",
                    request.starts_with("HEAD") ? "" : manifest_, manifest_.size());
      }
      const auto blob = blobs_.find(path.substr(path.rfind('/') + 1));
      if (path.find("/blobs/") != std::string::npos && blob != blobs_.end()) return send_blob(socket, blob->second);
    }
    return send(socket, 404, "", R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})");
  }

  bool send_blob(int socket, const std::string& blob) {
    const std::size_t cut_off = cut_off_;
    if (cut_off != 0 && blob.size() > cut_off) {
      send(socket, 200, "", blob.substr(0, cut_off), blob.size());
      return false;
    }
    if (!slowly_ || blob.size() < 100'000) return send(socket, 200, "", blob);
    send(socket, 200, "", blob.substr(0, blob.size() / 2), blob.size());
    constexpr std::size_t kPiece = 4096;
    for (std::size_t at = blob.size() / 2; at < blob.size() && !ending_; at += kPiece) {
      const std::string_view piece = std::string_view(blob).substr(at, kPiece);
      if (::send(socket, piece.data(), piece.size(), MSG_NOSIGNAL) <= 0) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  static bool send(int socket, int status, const std::string& headers, const std::string& body) {
    return send(socket, status, headers, body, body.size());
  }
  static bool send(int socket, int status, const std::string& headers, const std::string& body, std::size_t length) {
    std::string text = "HTTP/1.1 " + std::to_string(status) + " Any\r\n" + headers +
                       "Content-Length: " + std::to_string(length) + "\r\n\r\n" + body;
    for (std::string_view rest = text; !rest.empty();) {
      const ssize_t sent = ::send(socket, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  std::map<std::string, std::string> blobs_;
  std::string manifest_;
  std::string address_;
  int listener_ = -1;
  std::mutex mutex_;
  std::string login_;
  std::atomic<std::size_t> cut_off_{0};
  std::atomic<bool> slowly_{false};
  std::atomic<bool> ending_{false};
  std::thread acceptor_;
  std::vector<std::thread> servers_;
};

}  // namespace berth::testing
