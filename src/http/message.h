#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/id.h"
#include "base/text.h"
#include "metrics/registry.h"

namespace berth::http {

enum class Method { get, head, post, put, patch, delete_, options, other };

std::string_view name(Method method);

struct Header {
  std::string name;
  std::string value;
};

/// Fields in the order of arrival; names compare without regard to case.
class Headers {
 public:
  /// The first value of `name`, or nothing.
  std::optional<std::string_view> find(std::string_view name) const;
  void add(std::string_view name, std::string_view value);
  /// Replaces every field of that name by one.
  void set(std::string_view name, std::string_view value);
  void clear() { used_ = 0; }
  auto begin() const { return fields_.begin(); }
  auto end() const { return fields_.begin() + static_cast<std::ptrdiff_t>(used_); }
  std::size_t size() const { return used_; }

 private:
  std::vector<Header> fields_;  // elements beyond `used_` keep their memory for the next request
  std::size_t used_ = 0;
};

/// Where a request came from, after trusted proxies were believed.
struct Peer {
  std::string address;    ///< the client's address, "192.0.2.1" or "2001:db8::1"
  bool loopback = false;  ///< the client's address is a loopback one
  bool secure = false;    ///< TLS here or, by a trusted proxy's word, in front
};

/// What the server counts of one route. Owned by the application; lives as long as the server.
struct RouteMeter {
  metrics::Histogram* duration = nullptr;
  std::array<metrics::Counter*, 6> outcomes{};  ///< by the status' first digit; [0] is unused
};

/// One request as the application sees it. Lives on its connection until the answer is complete.
struct Request {
  Method method = Method::get;
  std::string target;  ///< as sent
  std::string path;    ///< below the mount's prefix, still percent-encoded, always starting with '/'
  std::string query;   ///< behind '?', still encoded
  Headers headers;
  std::string body;
  Peer peer;
  RequestId id;
  Instant received;
  std::optional<Language> language;  ///< from Accept-Language; the contract decides what applies without

  // Set by the application while it decides, for the server's books.
  const RouteMeter* meter = nullptr;
  std::string caller;  ///< who it is, for the access log

  Language language_or(Language fallback) const { return language.value_or(fallback); }

  std::optional<std::string_view> header(std::string_view name) const { return headers.find(name); }
};

/// A body that is made once and sent to many: its compressed form and its ETag are made once too.
/// Immutable and thread-safe.
class Content {
 public:
  /// The ETag is a hash of the bytes.
  Content(std::string content_type, std::string bytes);
  /// For callers that know a cheaper ETag (a revision); quoted by this class.
  Content(std::string content_type, std::string bytes, std::string etag);
  ~Content();

  const std::string& type() const { return type_; }
  const std::string& bytes() const { return bytes_; }
  const std::string& etag() const { return etag_; }
  /// The gzip form, made on first use; nothing if it would not be smaller.
  const std::string* gzip() const;
  /// The bytes as a file in memory, for sendfile(2), which shares its pages with every receiver instead of copying
  /// them for each. Counts a use; made when a large content turns out to be asked for again and again, -1 otherwise.
  int file_for_use() const;

 private:
  struct Compressed;
  struct MemoryFile;
  std::string type_;
  std::string bytes_;
  std::string etag_;
  std::unique_ptr<Compressed> compressed_;
  std::unique_ptr<MemoryFile> file_;
};

using ContentPointer = std::shared_ptr<const Content>;

/// One answer. Content-Length, Date, X-Request-Id, security headers, compression and 304 are the server's.
struct Response {
  int status = 200;
  Headers headers;
  std::string content_type = "application/json; charset=utf-8";
  std::string body;  ///< used where `content` is null
  ContentPointer content;
  bool close = false;  ///< end the connection behind this answer

  static Response json(int status, std::string body);
  static Response of(ContentPointer content);
};

/// Decodes %XX ('+' stays unless `plus_is_space`). Nothing if an escape is broken or the outcome is not UTF-8
/// or holds a NUL.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);
std::string percent_encode(std::string_view text);
/// Pairs of "a=1&b=2", decoded; nothing if one cannot be decoded.
std::optional<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view query);

}  // namespace berth::http
