#include "http/message.h"

#include <sodium.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <mutex>

#include "base/encoding.h"

namespace berth::http {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal_names(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

std::string hashed_etag(std::string_view bytes) {
  std::array<unsigned char, 16> digest{};
  crypto_generichash(digest.data(), digest.size(), reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                     nullptr, 0);
  return to_hex({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

/// gzip (RFC 1952); nothing if the outcome is not smaller or memory is short.
std::optional<std::string> compress(std::string_view bytes) {
  constexpr int kGzipWindow = 15 + 16;
  z_stream stream{};
  if (deflateInit2(&stream, 5, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) return std::nullopt;
  std::string out(deflateBound(&stream, static_cast<uLong>(bytes.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int outcome = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (outcome != Z_STREAM_END || out.size() >= bytes.size()) return std::nullopt;
  return out;
}

}  // namespace

std::string_view name(Method method) {
  switch (method) {
    case Method::get:
      return "GET";
    case Method::head:
      return "HEAD";
    case Method::post:
      return "POST";
    case Method::put:
      return "PUT";
    case Method::patch:
      return "PATCH";
    case Method::delete_:
      return "DELETE";
    case Method::options:
      return "OPTIONS";
    case Method::other:
      return "OTHER";
  }
  return "OTHER";
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (const auto& field : *this) {
    if (equal_names(field.name, name)) return field.value;
  }
  return std::nullopt;
}

void Headers::add(std::string_view name, std::string_view value) {
  if (used_ == fields_.size()) fields_.emplace_back();
  fields_[used_].name.assign(name);
  fields_[used_].value.assign(value);
  ++used_;
}

void Headers::set(std::string_view name, std::string_view value) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < used_; ++i) {
    if (equal_names(fields_[i].name, name)) continue;
    if (kept != i) std::swap(fields_[kept], fields_[i]);
    ++kept;
  }
  used_ = kept;
  add(name, value);
}

struct Content::Compressed {
  std::once_flag once;
  std::optional<std::string> bytes;
};

/// Every thread of the server may be the one that makes it.
struct Content::MemoryFile {
  static constexpr std::size_t kLeast = 16UL * 1024;  ///< below, copying costs less than the second system call
  static constexpr unsigned kUses = 8;

  ~MemoryFile() {
    if (descriptor >= 0) ::close(descriptor);
  }

  /// Without a descriptor or memory for it the bytes are sent as ever.
  void make(std::string_view bytes) {
    const int made = ::memfd_create("berth-content", MFD_CLOEXEC);
    if (made < 0) return;
    if (::write(made, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size())) {
      descriptor = made;
    } else {
      ::close(made);
    }
  }

  std::atomic<unsigned> uses{0};
  std::once_flag once;
  int descriptor = -1;
};

Content::Content(std::string content_type, std::string bytes)
    : type_(std::move(content_type)),
      bytes_(std::move(bytes)),
      etag_(hashed_etag(bytes_)),
      compressed_(std::make_unique<Compressed>()),
      file_(std::make_unique<MemoryFile>()) {
  etag_ = "W/\"" + etag_ + "\"";
}

Content::Content(std::string content_type, std::string bytes, std::string etag)
    : type_(std::move(content_type)),
      bytes_(std::move(bytes)),
      etag_("W/\"" + etag + "\""),
      compressed_(std::make_unique<Compressed>()),
      file_(std::make_unique<MemoryFile>()) {}

Content::~Content() = default;

const std::string* Content::gzip() const {
  std::call_once(compressed_->once, [this] { compressed_->bytes = compress(bytes_); });
  return compressed_->bytes ? &*compressed_->bytes : nullptr;
}

int Content::file_for_use() const {
  if (bytes_.size() < MemoryFile::kLeast) return -1;
  if (file_->uses.load(std::memory_order_relaxed) < MemoryFile::kUses &&
      file_->uses.fetch_add(1, std::memory_order_relaxed) + 1 < MemoryFile::kUses) {
    return -1;
  }
  std::call_once(file_->once, [this] { file_->make(bytes_); });
  return file_->descriptor;
}

Response Response::json(int status, std::string body) {
  Response response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

Response Response::of(ContentPointer content) {
  Response response;
  response.content = std::move(content);
  return response;
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const auto byte = from_hex(text.substr(i + 1, 2));
      if (!byte) return std::nullopt;
      c = byte->front();
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (c == '\0') return std::nullopt;
    out.push_back(c);
  }
  if (!is_utf8(out)) return std::nullopt;
  return out;
}

std::string percent_encode(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    if (plain) {
      out.push_back(c);
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(kDigits[byte >> 4U]);
      out.push_back(kDigits[byte & 15U]);
    }
  }
  return out;
}

std::optional<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view part = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    if (part.empty()) continue;
    const std::size_t equals = part.find('=');
    auto key = percent_decode(part.substr(0, equals), true);
    auto value = equals == std::string_view::npos ? std::optional<std::string>("")
                                                  : percent_decode(part.substr(equals + 1), true);
    if (!key || !value) return std::nullopt;
    pairs.emplace_back(std::move(*key), std::move(*value));
  }
  return pairs;
}

}  // namespace berth::http
