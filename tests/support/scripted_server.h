#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace berth::testing {

/// A server on a unix socket or on TCP whose every byte a test decides, also the ones that no real server would send.
/// Each connection is served by a thread of its own.
class ScriptedServer {
 public:
  /// One accepted connection.
  class Peer {
   public:
    Peer(int socket, const std::atomic<bool>& ending) : socket_(socket), ending_(ending) {}
    /// Reads a request: its header and as many bytes of body as Content-Length says. Empty at the end.
    std::string read_request() {
      while (true) {
        const std::size_t end = buffer_.find("\r\n\r\n");
        if (end != std::string::npos) {
          const std::size_t whole = end + 4 + content_length(buffer_.substr(0, end));
          if (buffer_.size() >= whole) {
            std::string request = buffer_.substr(0, whole);
            buffer_.erase(0, whole);
            return request;
          }
        }
        if (!read_more()) return {};
      }
    }
    /// False if the other side is gone.
    bool write(std::string_view bytes) {
      while (!bytes.empty()) {
        const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      }
      return true;
    }
    void answer(int status, std::string_view body, std::string_view more_headers = {}) {
      write("HTTP/1.1 " + std::to_string(status) + " Any\r\nContent-Type: application/json\r\n" +
            std::string(more_headers) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
            std::string(body));
    }
    /// Says nothing until the other side is gone or the server ends.
    void hang() {
      while (read_more()) {
      }
    }

   private:
    static std::size_t content_length(const std::string& header) {
      const std::size_t at = header.find("Content-Length: ");
      return at == std::string::npos ? 0 : std::strtoul(header.c_str() + at + 16, nullptr, 10);
    }
    bool read_more() {
      while (!ending_) {
        pollfd wait{socket_, POLLIN, 0};
        if (::poll(&wait, 1, 20) <= 0) continue;
        char bytes[16384];
        const ssize_t count = ::recv(socket_, bytes, sizeof bytes, 0);
        if (count <= 0) return false;
        buffer_.append(bytes, static_cast<std::size_t>(count));
        return true;
      }
      return false;
    }

    int socket_;
    const std::atomic<bool>& ending_;
    std::string buffer_;
  };

  using Script = std::function<void(Peer&)>;

  /// Every connection runs `script`; its end closes the connection.
  ScriptedServer(std::string path, Script script) : path_(std::move(path)), script_(std::move(script)) {
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path_.size() >= sizeof address.sun_path) throw std::runtime_error("too long a path: " + path_);
    std::memcpy(address.sun_path, path_.c_str(), path_.size());
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_, SOMAXCONN) != 0) {
      throw std::runtime_error("cannot listen on " + path_);
    }
    acceptor_ = std::thread([this] { accept(); });
  }
  /// The same on a free port of 127.0.0.1.
  explicit ScriptedServer(Script script) : script_(std::move(script)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_, SOMAXCONN) != 0 ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("cannot listen on the loopback");
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept(); });
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;
  ~ScriptedServer() {
    ending_ = true;
    acceptor_.join();
    for (auto& server : servers_) server.join();
    ::close(listener_);
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove(path_, ignored);
  }

  /// Of the constructor with a path; the other has a port.
  const std::string& path() const { return path_; }
  std::uint16_t port() const { return port_; }
  /// Connections accepted so far.
  int connections() const { return connections_; }

 private:
  void accept() {
    while (!ending_) {
      pollfd wait{listener_, POLLIN, 0};
      if (::poll(&wait, 1, 20) <= 0) continue;
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) continue;
      ++connections_;
      servers_.emplace_back([this, socket] {
        Peer peer(socket, ending_);
        script_(peer);
        ::close(socket);
      });
    }
  }

  std::string path_;
  Script script_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> ending_{false};
  std::atomic<int> connections_{0};
  std::thread acceptor_;
  std::vector<std::thread> servers_;
};

}  // namespace berth::testing
