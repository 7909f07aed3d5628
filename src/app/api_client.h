#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "app/command_line.h"
#include "app/console.h"
#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "http/client.h"

namespace berth::app {

/// What a person gives to reach a daemon.
struct ClientOptions {
  std::string server;              ///< "" for BERTH_SERVER, else http://127.0.0.1:8000
  std::string token_file;          ///< "" for BERTH_TOKEN, else the stored login
  std::string server_certificate;  ///< PEM file; "" for the system's authorities
};

void add_client_options(Command& command, ClientOptions& options);

/// A server's URL taken apart: "https://panel.example/lxd-panel" is a base and a prefix for every path.
struct ServerAddress {
  std::string base;    ///< "https://panel.example"
  std::string prefix;  ///< "/lxd-panel" or ""
  /// Errors: invalid_argument "cli.server".
  static Result<ServerAddress> parse(std::string_view url);
  std::string url() const { return base + prefix; }
};

/// What a login left behind for one server.
struct StoredLogin {
  std::string username;
  std::string access_token;
  std::string refresh_token;
};

/// The logins of this user, in a file of mode 0600. Each call reads or replaces the file as a whole.
class CredentialFile {
 public:
  /// $XDG_CONFIG_HOME/berth/credentials or ~/.config/berth/credentials.
  static Result<CredentialFile> of(const Environment& environment);
  explicit CredentialFile(std::filesystem::path file) : file_(std::move(file)) {}

  /// Nothing if there is no login for that server. Errors: those of read_secret_file but for a missing file.
  Result<std::optional<StoredLogin>> find(const std::string& server) const;
  Result<void> store(const std::string& server, const StoredLogin& login) const;
  Result<void> remove(const std::string& server) const;

  /// Held while a refresh token is traded in: it works only once, and two commands at the same time would
  /// otherwise end the session.
  class Guard {
   public:
    explicit Guard(int file) : file_(file) {}
    Guard(Guard&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard();

   private:
    int file_;
  };
  Result<Guard> lock() const;

 private:
  std::filesystem::path file_;
};

/// Speaks to the API of a running daemon as one caller. Not thread-safe.
class ApiClient {
 public:
  static Result<ApiClient> create(const ClientOptions& options, const Console& console);
  /// Without any credentials, for signing in.
  static Result<ApiClient> create_unsigned(const ClientOptions& options, const Console& console);

  /// Sends a request; a stored login that has run out is renewed. The answer of a failure becomes an error with
  /// the server's own words. `path` is encoded.
  Result<std::string> call(http::Method method, const std::string& path, const std::string& body = "",
                           std::chrono::milliseconds wait = std::chrono::seconds(15));
  Result<std::string> get(const std::string& path) { return call(http::Method::get, path); }

  /// Where a WebSocket of the API is and with which headers.
  const http::Endpoint& endpoint() const { return endpoint_; }
  std::string target(const std::string& path) const { return address_.prefix + path; }
  std::vector<http::Header> headers() const;
  /// Makes sure that the stored login still works, for connections that cannot renew it themselves.
  Result<void> renew_if_needed();

  const ServerAddress& address() const { return address_; }

 private:
  ApiClient(ServerAddress address, http::Endpoint endpoint, Language language);
  Result<http::ClientResponse> send(http::Method method, const std::string& path, const std::string& body,
                                    std::chrono::milliseconds wait);
  Result<void> renew();

  ServerAddress address_;
  http::Endpoint endpoint_;
  Language language_;
  std::unique_ptr<http::Client> client_;
  std::string token_;
  std::optional<CredentialFile> credentials_;  // set if the token is of a stored login
};

/// The error that an answer of the API stands for.
Error error_of_answer(int status, const std::string& body, const std::vector<http::Header>& headers);

}  // namespace berth::app
